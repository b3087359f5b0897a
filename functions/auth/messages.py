"""What the mails say."""

from __future__ import annotations

from typing import Final

from functions.auth.mail import Mail
from shared.otp import Code, Purpose

_SUBJECTS: Final = {
    Purpose.LOGIN: "Your sign-in code",
    Purpose.VERIFY_EMAIL: "Confirm your e-mail address",
    Purpose.RESET_PASSWORD: "Your code for a new password",
}
_USES: Final = {
    Purpose.LOGIN: "Enter this code to sign in to Digis:",
    Purpose.VERIFY_EMAIL: "Enter this code to confirm that this is your address:",
    Purpose.RESET_PASSWORD: "Enter this code to choose a new password:",
}
_CODE_NOTE: Final = (
    "It is good for ten minutes, once. Nobody at Digis will ever ask you for it. "
    "If it was not you who asked, you need do nothing."
)
_NOTICE: Final = "The password of your Digis account was changed just now, and all its sessions have ended."
_NOTICE_NOTE: Final = "If it was not you, ask for a new password at once: whoever did it could read your mail."


def of_code(code: Code) -> Mail:
    use = _USES[code.purpose]
    return Mail(
        to=code.email,
        subject=_SUBJECTS[code.purpose],
        text=f"{use}\n\n    {code.digits}\n\n{_CODE_NOTE}\n",
        html=f'<p>{use}</p><p style="font-size:2em;letter-spacing:.2em"><b>{code.digits}</b></p><p>{_CODE_NOTE}</p>',
    )


def of_reset(email: str) -> Mail:
    """The notice that follows a new password."""
    return Mail(
        to=email,
        subject="Your password was changed",
        text=f"{_NOTICE}\n\n{_NOTICE_NOTE}\n",
        html=f"<p>{_NOTICE}</p><p>{_NOTICE_NOTE}</p>",
    )
