"""`digis`: everything that is done with the functions from a shell."""

from __future__ import annotations

import typer

from tools.cli import demo, dev, doctor, fault, invoke, migrate, openapi, pay, session, upstash

app = typer.Typer(
    name="digis",
    help="The backend of Digis on a laptop: run it, look into it, break it on purpose.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("dev")(dev.dev)
app.command("demo")(demo.demo)
app.command("upstash")(upstash.upstash)
app.command("migrate")(migrate.migrate)
app.command("invoke")(invoke.invoke)
app.command("session")(session.session)
app.command("pay")(pay.pay)
app.command("fault")(fault.fault)
app.command("doctor")(doctor.doctor)
app.command("openapi")(openapi.openapi)
