-- Who keeps whom from going on, and how a service ends a session that it has waited on for too long.
--
-- A reader takes locks that a writer has to wait for when it reads in a SERIALIZABLE transaction, or with LOCK IN SHARE
-- MODE or FOR UPDATE, for which SELECT is enough. The services may neither see foreign sessions nor end them. What is
-- here runs with root's rights and tells and ends nothing but what the caller's own sessions wait for.

CREATE DATABASE IF NOT EXISTS locks CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT 'Which session waits for which, for whoever is kept from storing';

USE locks;

-- wait: each session that waits for a lock, beside each session that it waits for. InnoDB's locks of rows come first,
-- then metadata locks (of tables, views, functions, of the whole server), which local/mariadb.cnf makes visible. A
-- metadata lock that is wanted conflicts with one that is held where one of the two is strong; and who already waits
-- for a strong one goes first.
CREATE OR REPLACE VIEW wait AS
SELECT waiting.trx_mysql_thread_id AS waiting, holding.trx_mysql_thread_id AS holding
FROM information_schema.innodb_lock_waits AS lock_wait
JOIN information_schema.innodb_trx AS waiting ON waiting.trx_id = lock_wait.requesting_trx_id
JOIN information_schema.innodb_trx AS holding ON holding.trx_id = lock_wait.blocking_trx_id
UNION
SELECT waiter.processlist_id, holder.processlist_id
FROM performance_schema.metadata_locks AS wanted
JOIN performance_schema.metadata_locks AS held
  ON held.object_type = wanted.object_type AND held.object_schema <=> wanted.object_schema
     AND held.object_name <=> wanted.object_name AND held.owner_thread_id <> wanted.owner_thread_id
JOIN performance_schema.threads AS waiter ON waiter.thread_id = wanted.owner_thread_id
JOIN performance_schema.threads AS holder ON holder.thread_id = held.owner_thread_id
WHERE wanted.lock_status = 'PENDING' AND CASE
  WHEN held.lock_type IN ('EXCLUSIVE', 'SHARED_NO_READ_WRITE', 'SHARED_NO_WRITE', 'SHARED_READ_ONLY')
       OR held.lock_type LIKE 'BACKUP_FTWRL%' OR held.lock_type LIKE 'BACKUP_WAIT%' THEN TRUE
  WHEN wanted.lock_type IN ('SHARED_NO_WRITE', 'SHARED_READ_ONLY') THEN
    held.lock_status = 'GRANTED' AND held.lock_type IN ('SHARED_WRITE', 'SHARED_UPGRADABLE')
  WHEN wanted.lock_type IN ('EXCLUSIVE', 'SHARED_NO_READ_WRITE') OR wanted.lock_type LIKE 'BACKUP_FTWRL%'
    THEN held.lock_status = 'GRANTED'
  ELSE FALSE
END;

-- holder: every session with an open transaction that holds a table, view or function of the shop, for people.
--   seconds  how long it has idled, or its statement has run
CREATE OR REPLACE VIEW holder AS
SELECT id, user, host, time AS seconds, command,
       GROUP_CONCAT(DISTINCT object_schema, '.', object_name ORDER BY 1 SEPARATOR ' ') AS holds
FROM performance_schema.metadata_locks
JOIN performance_schema.threads ON thread_id = owner_thread_id
JOIN information_schema.processlist ON id = processlist_id
WHERE lock_status = 'GRANTED' AND object_schema IN ('analytics', 'fulfillment') AND id <> CONNECTION_ID()
GROUP BY id, user, host, time, command;

-- blocker: the sessions, of whomever, that sessions of the caller's own user wait for in the end: not those that wait
-- themselves.
--   id, user, host  the session: what KILL takes, and where it comes from
--   running         0: its client lets it idle
--   may_be_ended    0: a session of the caller's own user, or a statement that root has under way
CREATE OR REPLACE VIEW blocker AS
WITH RECURSIVE chain AS (
  SELECT wait.holding FROM wait JOIN information_schema.processlist AS own ON own.id = wait.waiting
  WHERE own.user = SUBSTRING_INDEX(USER(), '@', 1)
  UNION
  SELECT wait.holding FROM chain JOIN wait ON wait.waiting = chain.holding
)
SELECT id, user, host, command <> 'Sleep' AS running,
       user <> SUBSTRING_INDEX(USER(), '@', 1) AND NOT (user = 'root' AND command <> 'Sleep') AS may_be_ended
FROM information_schema.processlist
WHERE id IN (SELECT holding FROM chain) AND id NOT IN (SELECT waiting FROM wait);

DELIMITER //
CREATE OR REPLACE PROCEDURE end_blocker(IN session BIGINT UNSIGNED)
  COMMENT 'Ends the session, which rolls back, where the caller waits for it and it may be ended; else does nothing'
BEGIN
  IF EXISTS (SELECT 1 FROM blocker WHERE id = session AND may_be_ended) THEN
    KILL session;
  END IF;
END //
DELIMITER ;
