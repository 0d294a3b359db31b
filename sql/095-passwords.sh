# Gives the users of 090-users.sql the passwords that the environment has: ANALYTICS_PASSWORD=... and so on. What has none
# there keeps its own. Prints the SQL for it; the mariadb image, which sources this file at its first start, runs it.
passwords() {
    local user name
    for user in user analytics fulfillment auditor; do
        name=${user^^}_PASSWORD
        [[ -z ${!name:-} ]] || echo "ALTER USER '$user'@'%' IDENTIFIED BY '$(sed "s/[\\\\']/\\\\&/g" <<<"${!name}")';"
    done
}

if declare -F docker_process_sql >/dev/null; then
    passwords | docker_process_sql
else
    passwords
fi
