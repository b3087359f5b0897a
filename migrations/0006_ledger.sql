-- The ledger: double entry, in two units. A transfer is some postings that sum to zero in each unit; a posting never
-- changes; an account's balance is the sum of its postings. The functions' role can add transfers and nothing else:
-- balances are kept by the database, and what it must not let through, it refuses itself.

CREATE TABLE ledger_accounts (
    id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 100) PRIMARY KEY,
    kind    text   NOT NULL,
    unit    text   NOT NULL GENERATED ALWAYS AS (
        CASE WHEN kind IN ('issued', 'wallet', 'owed', 'earnings', 'payout_transit', 'fee', 'redeemed') THEN 'token'
             WHEN kind IN ('stripe', 'stripe_fees', 'token_liability', 'creator_payouts', 'revenue', 'loss') THEN 'usd'
        END) STORED,
    user_id uuid   REFERENCES users,
    balance bigint DEFAULT 0,
    UNIQUE NULLS NOT DISTINCT (user_id, kind),
    CONSTRAINT users_have_these_accounts
        CHECK ((user_id IS NOT NULL) = (kind IN ('wallet', 'owed', 'earnings', 'payout_transit'))),
    CONSTRAINT balances_are_kept_for_users CHECK ((user_id IS NULL) = (balance IS NULL)),
    CONSTRAINT nobody_spends_what_they_have_not
        CHECK (CASE WHEN kind = 'owed' THEN balance <= 0 WHEN user_id IS NOT NULL THEN balance >= 0 ELSE true END)
);
COMMENT ON TABLE ledger_accounts IS 'Written by functions/payments.';
COMMENT ON COLUMN ledger_accounts.unit IS 'usd is in cents';
COMMENT ON COLUMN ledger_accounts.balance IS
    'the sum of the postings, kept by a trigger. Of the house''s own accounts it is not kept: everybody would wait for their rows';

-- The house's accounts, under the ids that functions/payments knows them by.
INSERT INTO ledger_accounts (id, kind, balance) OVERRIDING SYSTEM VALUE VALUES
    (1, 'issued', NULL), (2, 'fee', NULL), (3, 'redeemed', NULL),
    (4, 'stripe', NULL), (5, 'stripe_fees', NULL), (6, 'token_liability', NULL),
    (7, 'creator_payouts', NULL), (8, 'revenue', NULL), (9, 'loss', NULL);

CREATE TABLE ledger_transfers (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    kind       text        NOT NULL CHECK (kind IN
        ('grant', 'purchase', 'refund', 'refund_reversed', 'dispute', 'dispute_reversed', 'tip', 'unlock', 'call')),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ledger_transfers IS 'Written by functions/payments.';
COMMENT ON COLUMN ledger_transfers.kind IS 'grant: tokens that nobody paid for, such as those of the demo data';

CREATE TABLE ledger_postings (
    transfer_id uuid        NOT NULL REFERENCES ledger_transfers,
    account_id  bigint      NOT NULL REFERENCES ledger_accounts,
    amount      bigint      NOT NULL CHECK (amount <> 0),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (transfer_id, account_id)
);
COMMENT ON TABLE ledger_postings IS 'Written by functions/payments.';
CREATE INDEX ledger_postings_by_account ON ledger_postings (account_id, created_at DESC, transfer_id DESC) INCLUDE (amount);

-- Balances follow postings, in the statement that adds them. Rows are locked in the order of their ids.
CREATE FUNCTION keep_ledger_balances() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM ledger_accounts a
      WHERE a.id IN (SELECT account_id FROM added) AND a.balance IS NOT NULL ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE ledger_accounts a SET balance = a.balance + d.amount
      FROM (SELECT account_id, sum(amount) AS amount FROM added GROUP BY account_id) d
     WHERE a.id = d.account_id AND a.balance IS NOT NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_balances_are_kept AFTER INSERT ON ledger_postings
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_ledger_balances();

-- Looked at when the transaction commits: by then a transfer is whole, and it is never added to after that. With its
-- own search_path: a temporary table of the same name would otherwise be looked at in the place of ours.
CREATE FUNCTION refuse_unbalanced_transfer() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.ledger_postings p JOIN public.ledger_accounts a ON a.id = p.account_id
         WHERE p.transfer_id = NEW.transfer_id GROUP BY a.unit HAVING sum(p.amount) <> 0
    ) THEN
        RAISE EXCEPTION 'transfer % does not sum to zero', NEW.transfer_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (
        SELECT FROM public.ledger_transfers t WHERE t.id = NEW.transfer_id AND t.created_at <> NEW.created_at
    ) THEN
        RAISE EXCEPTION 'transfer % is closed', NEW.transfer_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER ledger_transfers_sum_to_zero AFTER INSERT ON ledger_postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_transfer();

CREATE FUNCTION refuse_empty_transfer() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.ledger_postings p WHERE p.transfer_id = NEW.id) THEN
        RAISE EXCEPTION 'transfer % has no postings', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER ledger_transfers_have_postings AFTER INSERT ON ledger_transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_empty_transfer();

-- Not even by the owner, who has to drop the trigger first, knowing what they do.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is never changed, only added to' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER ledger_postings_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER ledger_transfers_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- The accounts that a transfer is about to touch, made if need be, locked in the order of their ids until the
-- transaction ends. The functions' role cannot lock a row itself: that takes a right to change it.
CREATE FUNCTION lock_ledger_accounts(kinds text[], users uuid[])
    RETURNS TABLE (account_id bigint, account_kind text, account_user_id uuid, account_balance bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO ledger_accounts (kind, user_id)
    SELECT w.kind, w.user_id FROM unnest(kinds, users) AS w (kind, user_id)
     WHERE NOT EXISTS (SELECT FROM ledger_accounts a WHERE a.user_id = w.user_id AND a.kind = w.kind)
     ORDER BY w.user_id, w.kind
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT a.id, a.kind, a.user_id, a.balance FROM ledger_accounts a
     WHERE (a.user_id, a.kind) IN (SELECT w.user_id, w.kind FROM unnest(kinds, users) AS w (kind, user_id))
     ORDER BY a.id FOR NO KEY UPDATE;
END
$$;

REVOKE ALL ON FUNCTION lock_ledger_accounts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_ledger_accounts TO digis_functions;
GRANT SELECT ON ledger_accounts, ledger_transfers, ledger_postings TO digis_functions;
-- By column: nobody dates a transfer back.
GRANT INSERT (id, kind) ON ledger_transfers TO digis_functions;
GRANT INSERT (transfer_id, account_id, amount) ON ledger_postings TO digis_functions;
