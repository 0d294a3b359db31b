# Starts the broker of a container with the settings in these files, to which the image adds what the environment says in
# KAFKA_...: bash broker-start.sh FILE...
if [[ ! $(cat /proc/net/if_inet6 2>&-) ]]; then
    echo "IPv6 is off in this container: switch it on for Docker and its networks (docs/docker.md says how)." >&2
    exit 2
fi
# Passwords come by a file, because what the environment says in KAFKA_... is taken to the letter.
{ cat "$@" && bash /local/broker-passwords.sh; } >/mnt/shared/config/server.properties && exec /etc/kafka/docker/run
