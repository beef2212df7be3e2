-- The roles of Postgres: each process logs in as its own and may do what its code does, no more.
--
--   psql --set ON_ERROR_STOP=1 --dbname postgresql://postgres@host/database --file roles.sql
--
-- The database is for this system alone: any other login loses the schema of the tables, and
-- connects only if CONNECT is granted to them by name. That schema is the one in which the tables
-- are, before the first `db upgrade` the first of the search path: for another than `public`, make
-- it and set PGOPTIONS='-c search_path=NAME' that first time. The roles below then find it by
-- themselves, without IFOOD_DATABASE_SCHEMA.
-- Run this file as a superuser: before the first `ifood-actors db upgrade`, which makes the
-- tables, and after each. It may run as often as you like; what a role holds and should not on the
-- database, its schemas and tables is taken from it, and so are its settings, its memberships and
-- its attributes such as CREATEROLE. The roles belong to the whole server and get no password here:
-- `\password ifood_worker` in psql gives one. docs/operations.md, "Give each process its own
-- login", has the whole story.
--
--   ifood_migrator    `db upgrade`: owns all tables and views
--   ifood_scheduler   `scheduler`: plans, relays, renews tokens; sees no records
--   ifood_worker      `worker`: claims and ends jobs, stores records; sees no history
--   ifood_web         `web`: reads jobs, accounts and figures, no credentials and nothing of iFood's
--   ifood_operator    commands that only read: a member of ifood_operators
--   ifood_admin       all other commands: a member of ifood_admins
--   ifood_reader      reports: the schema `reporting`, nothing else
--
-- People log in as themselves, and are members of a group, as which no one logs in:
--
--   ifood_operators   in psql: read all but credentials, and repair jobs
--   ifood_admins      by commands: jobs, accounts, applications and their credentials

BEGIN;

-- A login that may make things here, such as the migrator, must not have a superuser run them:
-- functions and operators are those of Postgres alone. Until then, each name is written with its schema.
DO $$ BEGIN
  PERFORM pg_catalog.set_config('ifood.home', pg_catalog.current_schema(), true);
END $$;
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  name text;
  former record;
  logins CONSTANT text[] := ARRAY['ifood_migrator', 'ifood_scheduler', 'ifood_worker', 'ifood_web',
    'ifood_operator', 'ifood_admin', 'ifood_reader'];
  people CONSTANT text[] := ARRAY['ifood_operators', 'ifood_admins'];
  home text := coalesce((
    SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = 'ifood_job_events' AND relkind = 'r' AND relpersistence = 'p'),
    current_setting('ifood.home'));
BEGIN
  PERFORM set_config('ifood.home', home, true);
  FOREACH name IN ARRAY logins || people LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I %s', name,
        CASE WHEN name = ANY (people) THEN 'NOLOGIN' ELSE 'LOGIN' END);
    END IF;
    IF EXISTS (
      SELECT FROM pg_authid WHERE rolname = name AND (NOT rolinherit OR rolsuper OR rolcreatedb
        OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
      EXECUTE format('ALTER ROLE %I INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION '
        'NOBYPASSRLS', name);
      RAISE WARNING 'taken from %: its attributes beyond those of this file', name;
    END IF;
    IF name = ANY (people) AND EXISTS (
      SELECT FROM pg_authid WHERE rolname = name AND (rolcanlogin OR rolpassword IS NOT NULL)) THEN
      EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', name);
      RAISE WARNING 'taken from %: its login or password', name;
    END IF;
    -- A role may change its own, and so break its program for good.
    FOR former IN
      SELECT setconfig, setdatabase <> 0 AS here FROM pg_db_role_setting
      WHERE setrole = name::regrole AND setdatabase IN (0, (
        SELECT oid FROM pg_database WHERE datname = current_database()))
    LOOP
      EXECUTE format('ALTER ROLE %I %s RESET ALL', name,
        CASE WHEN former.here THEN format('IN DATABASE %I', current_database()) END);
      IF former.setconfig <> ARRAY[format('search_path=%I', home)] THEN
        RAISE WARNING 'taken from %: its settings %', name, former.setconfig;
      END IF;
    END LOOP;
    IF home <> 'public' AND name = ANY (logins) THEN
      EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %I', name,
        current_database(), home);
    END IF;
  END LOOP;

  -- A member of a login can give it a password and log in as it, and then what they do names
  -- the program. No one logs in as a group, so its members stay who they are.
  FOR former IN
    SELECT role.rolname AS role, member.rolname AS member, grantor.rolname AS grantor,
      member.rolname = ANY (logins || people) AS ours
    FROM pg_auth_members AS given JOIN pg_roles AS role ON role.oid = given.roleid
      JOIN pg_roles AS member ON member.oid = given.member
      LEFT JOIN pg_roles AS grantor ON grantor.oid = given.grantor
    WHERE (role.rolname = ANY (logins) OR member.rolname = ANY (logins || people))
      AND (given.admin_option OR (member.rolname, role.rolname) NOT IN (
        ('ifood_operator', 'ifood_operators'), ('ifood_admin', 'ifood_admins')))
    ORDER BY ours DESC
  LOOP
    EXECUTE format('REVOKE %I FROM %I %s CASCADE', former.role, former.member,
      'GRANTED BY ' || quote_ident(former.grantor));
    IF former.role IN ('ifood_operator', 'ifood_admin') AND NOT former.ours THEN
      EXECUTE format('GRANT %I TO %I', former.role || 's', former.member);
      RAISE NOTICE '% is a member of %s now, and no longer of %, the login of programs',
        former.member, former.role, former.role;
    ELSE
      RAISE WARNING '% is no longer a member of %', former.member, former.role;
    END IF;
  END LOOP;
  IF NOT pg_has_role('ifood_operator', 'ifood_operators', 'MEMBER') THEN
    GRANT ifood_operators TO ifood_operator;
  END IF;
  IF NOT pg_has_role('ifood_admin', 'ifood_admins', 'MEMBER') THEN
    GRANT ifood_admins TO ifood_admin;
  END IF;

  -- No other login makes tables, not even temporary ones, or connects without a grant by name:
  -- any session can hold the advisory locks that processes wait for.
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  FOREACH name IN ARRAY logins || people LOOP
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM %I CASCADE', current_database(), name);
    IF name NOT IN ('ifood_operator', 'ifood_admin') THEN
      EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), name);
    END IF;
  END LOOP;
  FOR former IN
    SELECT DISTINCT rolname FROM pg_database CROSS JOIN aclexplode(datacl) AS held
      JOIN pg_roles ON pg_roles.oid = held.grantee
    WHERE datname = current_database() AND held.grantee <> datdba
      AND held.privilege_type IN ('CREATE', 'TEMPORARY')
  LOOP
    EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM %I CASCADE', current_database(),
      former.rolname);
    RAISE WARNING 'taken from %: making tables or schemas in this database', former.rolname;
  END LOOP;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO ifood_migrator', current_database());
END $$;

CREATE SCHEMA IF NOT EXISTS reporting;
ALTER SCHEMA reporting OWNER TO ifood_migrator;

-- The login that has migrated until now is the migrator from here on. What any other has put there
-- would work with its rights.
DO $$
DECLARE
  object record;
  home regnamespace := quote_ident(current_setting('ifood.home'))::regnamespace;
  former oid := (
    SELECT relowner FROM pg_class WHERE relname = 'ifood_job_events' AND relnamespace = home);
BEGIN
  FOR object IN
    SELECT format('TABLE %s', oid::regclass) AS name, relowner AS owner FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm')
      AND (relnamespace = 'reporting'::regnamespace OR relnamespace = home
        AND (relname LIKE 'ifood\_%' OR relname IN ('accounts', 'alembic_version')))
    UNION ALL
    SELECT format('ROUTINE %s', oid::regprocedure), proowner FROM pg_proc
    WHERE proname LIKE 'ifood\_%' AND pronamespace = home
  LOOP
    IF object.owner NOT IN ('ifood_migrator'::regrole, coalesce(former, 0))
      AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = object.owner) THEN
      RAISE EXCEPTION '% belongs to %: drop it, or give it to ifood_migrator, and run this again',
        object.name, object.owner::regrole;
    END IF;
    EXECUTE format('ALTER %s OWNER TO ifood_migrator', object.name);
  END LOOP;
END $$;

DO $$
DECLARE
  routine regprocedure;
  others text :=
    'ifood_scheduler, ifood_worker, ifood_web, ifood_operator, ifood_admin, ifood_reader, '
    'ifood_operators, ifood_admins';
  home text := quote_ident(current_setting('ifood.home'));
BEGIN
  EXECUTE format('REVOKE ALL ON SCHEMA %s, reporting FROM PUBLIC, %s', home, others);
  EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %s, reporting FROM PUBLIC, %s', home, others);
  EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %s, reporting FROM PUBLIC, %s', home,
    others);
  -- They are for the triggers and the scheduler; some write with the migrator's rights.
  FOR routine IN
    SELECT oid FROM pg_proc
    WHERE proname LIKE 'ifood\_%' AND pronamespace = home::regnamespace
  LOOP
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC, %s', routine, others);
  END LOOP;
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %s TO ifood_migrator', home);
  EXECUTE format('GRANT USAGE ON SCHEMA %s TO ifood_scheduler, ifood_worker, ifood_web, '
    'ifood_operators, ifood_admins', home);
END $$;
GRANT USAGE ON SCHEMA reporting TO ifood_reader, ifood_web, ifood_operators, ifood_admins;
GRANT SELECT ON ALL TABLES IN SCHEMA reporting
  TO ifood_reader, ifood_web, ifood_operators, ifood_admins;

DO $$
DECLARE
  home text := quote_ident(current_setting('ifood.home'));
BEGIN
  IF to_regclass(format('%s.ifood_record_versions', home)) IS NULL THEN
    RAISE WARNING 'there are no tables yet: run this file again after `ifood-actors db upgrade`';
    RETURN;
  END IF;
  -- From here on nothing is called or compared: only tables and two functions are named.
  PERFORM set_config('search_path', format('%s, pg_temp', home), true);

  -- Of credentials, only the names and dates are for all who read.
  GRANT SELECT ON alembic_version, accounts, ifood_runs, ifood_jobs, ifood_job_events, ifood_limits,
    ifood_named_limits, ifood_left_out, ifood_alerts, ifood_schedulers, ifood_operator_acts
    TO ifood_web, ifood_operators, ifood_admins;
  GRANT SELECT (id, name, client_id, kind, created_at, updated_at) ON ifood_apps
    TO ifood_web, ifood_operators;
  GRANT SELECT (id, app_id, name, expires_at, renew_at, renewed_at, refresh_expires_at,
    locked_until, refused_at, refused_since, refused_reason, needs_authorization_since,
    unreadable_at, unreadable_by) ON ifood_authorizations
    TO ifood_web, ifood_operators;

  -- Records are for people, with what iFood sent. The web process has the figures in `reporting`,
  -- and counts rejected items.
  GRANT SELECT ON ifood_settlements, ifood_anticipations, ifood_sales, ifood_record_versions,
    ifood_complete_pulls, ifood_rejected_items TO ifood_operators, ifood_admins;
  GRANT SELECT (id, kind, merchant_id, first_seen_at, last_seen_at) ON ifood_rejected_items
    TO ifood_web;

  -- A row of the history. Its id and the login are none that its writer gives; triggers judge the
  -- rest, also who may do which act.
  GRANT INSERT (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason, detail)
    ON ifood_job_events TO ifood_scheduler, ifood_worker, ifood_admins;

  -- A person's repair. The trigger does the rest, and writes it into the history.
  GRANT UPDATE (status, scheduled_for, attempts, next_retry_at) ON ifood_jobs TO ifood_operators;

  -- Plan, relay, rescue, renew. RETURNING job_id wants to read it, and the alerts the rest.
  GRANT SELECT ON alembic_version, ifood_runs, ifood_jobs, ifood_apps TO ifood_scheduler;
  GRANT SELECT (id, name, ifood_merchant_id, priority, active, app_id, authorization_id, created_at)
    ON accounts TO ifood_scheduler;
  GRANT INSERT ON ifood_runs TO ifood_scheduler;
  GRANT INSERT (job_type, account_id, merchant_id, job_day, scheduled_for, priority, run_id,
    period_start, period_end, wake_at, event_no) ON ifood_jobs TO ifood_scheduler;
  GRANT SELECT (job_id, event_no, at, act, to_status, reason, detail) ON ifood_job_events
    TO ifood_scheduler;
  GRANT UPDATE (planned, complete, window_end, created_by) ON ifood_runs TO ifood_scheduler;
  GRANT SELECT, INSERT, UPDATE ON ifood_left_out TO ifood_scheduler, ifood_admins;
  GRANT UPDATE (status, attempts, dispatch_no, dispatched_at, wake_at, locked_at, locked_by,
    claim_token, lease_expires_at, next_retry_at, finished_at, last_error, error_code, event_no,
    updated_at) ON ifood_jobs TO ifood_scheduler;

  -- Forget what is old. No right on records: a function empties `raw`.
  GRANT SELECT (id), DELETE ON ifood_job_events TO ifood_scheduler;
  GRANT SELECT (id, valid_to), DELETE ON ifood_record_versions TO ifood_scheduler;
  GRANT SELECT (id, kind, merchant_id, last_seen_at), DELETE ON ifood_rejected_items
    TO ifood_scheduler;
  GRANT SELECT (id, at), DELETE ON ifood_operator_acts TO ifood_scheduler;
  GRANT EXECUTE ON FUNCTION ifood_forget_raw TO ifood_scheduler;

  -- Watch, and remember what was told.
  GRANT SELECT, INSERT, UPDATE ON ifood_alerts, ifood_schedulers TO ifood_scheduler;

  -- Claim, renew the lease, store, end.
  GRANT SELECT ON alembic_version, ifood_jobs, ifood_apps TO ifood_worker;
  GRANT SELECT (id, active, timezone, app_id, authorization_id) ON accounts TO ifood_worker;
  GRANT SELECT (job_id) ON ifood_job_events TO ifood_worker;
  GRANT UPDATE (status, attempts, lease_no, dispatched_at, wake_at, locked_at, locked_by,
    claim_token, lease_expires_at, next_retry_at, finished_at, last_error, error_code, result,
    event_no, updated_at) ON ifood_jobs TO ifood_worker;
  GRANT EXECUTE ON FUNCTION ifood_lease_lost TO ifood_worker;
  GRANT SELECT, INSERT, UPDATE ON ifood_settlements, ifood_anticipations, ifood_sales
    TO ifood_worker;
  GRANT INSERT ON ifood_record_versions TO ifood_worker;
  GRANT SELECT, INSERT, DELETE ON ifood_complete_pulls TO ifood_worker;
  GRANT USAGE ON SCHEMA reporting TO ifood_worker;
  GRANT SELECT ON reporting.last_seen TO ifood_worker;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ifood_rejected_items TO ifood_worker;

  -- Both ask iFood for tokens, at the limiter's pace. Whose an authorization is, is not theirs to say.
  GRANT SELECT, INSERT, UPDATE ON ifood_limits, ifood_named_limits
    TO ifood_scheduler, ifood_worker, ifood_admins;
  GRANT SELECT, INSERT ON ifood_authorizations TO ifood_scheduler, ifood_worker, ifood_admins;
  GRANT UPDATE (access_token_encrypted, expires_at, renew_at, renewed_at, refresh_token_encrypted,
    refresh_expires_at, locked_until, refused_at, refused_since, refused_reason,
    needs_authorization_since, unreadable_at, unreadable_by) ON ifood_authorizations
    TO ifood_scheduler, ifood_worker;

  -- The commands of the operators' program.
  GRANT INSERT, UPDATE ON accounts, ifood_runs, ifood_jobs TO ifood_admins;
  GRANT UPDATE ON ifood_authorizations TO ifood_admins;
  -- Who did it when is not for them to say: a trigger sets `at` and `login`.
  GRANT INSERT (actor, act, subject, detail) ON ifood_operator_acts TO ifood_admins;
  GRANT SELECT, INSERT, UPDATE ON ifood_apps TO ifood_admins;
  GRANT DELETE ON ifood_authorizations, ifood_named_limits TO ifood_admins;
END $$;

COMMIT;
