# The lines of a broker's settings that hold passwords, from ADMIN_PASSWORD and BROKER_PASSWORD: a container of
# docker-compose.yml adds them to broker.properties.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/passwords.sh"

for name in ADMIN BROKER; do
    setting=${name}_PASSWORD
    reason=$(why_unfit "${!setting}")
    [[ -z $reason ]] || { echo "KAFKA_$setting $reason" >&2; exit 2; }
done
brokers=$(plain_login username broker password "$BROKER_PASSWORD" user_broker "$BROKER_PASSWORD")
echo "listener.name.login.plain.sasl.jaas.config=$(plain_login user_admin "$ADMIN_PASSWORD")"
echo "listener.name.internal.plain.sasl.jaas.config=$brokers"
echo "listener.name.controller.plain.sasl.jaas.config=$brokers"
