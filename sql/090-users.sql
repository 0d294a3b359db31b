-- Who may do what. The grants make analytics append-only: nobody but root may UPDATE or DELETE there.
-- '%': services and people come over IPv4 and IPv6, from containers and from this machine.
-- The passwords are a workshop's; 095-passwords.sh changes them to those of the environment.

CREATE USER IF NOT EXISTS 'user'@'%' IDENTIFIED BY 'userpw';
CREATE USER IF NOT EXISTS 'analytics'@'%' IDENTIFIED BY 'analyticspw';
CREATE USER IF NOT EXISTS 'fulfillment'@'%' IDENTIFIED BY 'fulfillmentpw';
CREATE USER IF NOT EXISTS 'auditor'@'%' IDENTIFIED BY 'auditorpw';

-- EXECUTE: the server tells the columns of a view only to who may call the functions in it. SHOW VIEW: libraries that
-- reflect a view ask for its definition, and so does a dump, which asks for that of the functions, too.
GRANT SELECT, SHOW VIEW, EXECUTE /*M!110300 , SHOW CREATE ROUTINE */ ON analytics.* TO 'user'@'%';
GRANT SELECT, SHOW VIEW, INSERT, EXECUTE ON analytics.* TO 'analytics'@'%';
GRANT SELECT, INSERT, UPDATE ON fulfillment.fulfillment TO 'fulfillment'@'%';
GRANT SELECT, SHOW VIEW, EXECUTE ON analytics.* TO 'auditor'@'%';
GRANT SELECT ON fulfillment.* TO 'auditor'@'%';

-- Whoever stores may see, and end, who keeps it from storing.
GRANT SELECT ON locks.blocker TO 'analytics'@'%';
GRANT SELECT ON locks.blocker TO 'fulfillment'@'%';
GRANT EXECUTE ON locks.* TO 'analytics'@'%';
GRANT EXECUTE ON locks.* TO 'fulfillment'@'%';

-- An installation may bring anonymous users, who would match before 'user'@'%' on this machine.
DELETE FROM mysql.global_priv WHERE User = '';
FLUSH PRIVILEGES;
