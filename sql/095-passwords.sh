# Gives the users of 090-users.sql the passwords that the environment has: ANALYTICS_PASSWORD=... and so on. What has none
# there keeps its own. Prints the SQL for it; the mariadb image, which sources this file at its first start, runs it.

# What mysql_native_password keeps of a password, SHA-1 of SHA-1: hex digits, which mean the same in every character set
# and SQL mode.
password_hash() {
    local hash
    hash=$(printf %s "$1" | sha1sum)
    hash=$(printf %b "$(sed 's/../\\x&/g' <<<"${hash%% *}")" | sha1sum)
    hash=${hash%% *}
    echo "*${hash^^}"
}

passwords() {
    local user name
    for user in user analytics fulfillment auditor; do
        name=${user^^}_PASSWORD
        [[ -z ${!name:-} ]] || echo "ALTER USER '$user'@'%' IDENTIFIED BY PASSWORD '$(password_hash "${!name}")';"
    done
}

if declare -F docker_process_sql >/dev/null; then
    passwords | docker_process_sql
else
    passwords
fi
