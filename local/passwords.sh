# How passwords get into files of Java properties: for init-kafka.sh and, in docker-compose.yml, for a broker's settings.

# The text with every character as \uXXXX, because Java takes such a file for Latin-1 and \ for the start of an escape.
# Fails where it is not UTF-8.
as_property() {
    printf %s "$1" | iconv -f UTF-8 -t UTF-16BE 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | sed 's/..../\\u&/g'
}

# What is wrong with a password, as the rest of a sentence; nothing where it is one.
why_unfit() {
    local code
    if ! code=$(as_property "$1"); then
        echo "is not UTF-8: choose another one."
    elif [[ $code =~ \\u(00[0189].|007f|202[89]) ]]; then
        echo "has the character U+${BASH_REMATCH[1]^^} in it, which nobody can type or see: leave it out."
    fi
}

# The sasl.jaas.config of PLAIN with these options: plain_login username admin password secret
plain_login() {
    local LC_ALL=C login='org.apache.kafka.common.security.plain.PlainLoginModule required' value
    while (($#)); do
        value=${2//\\/\\\\}
        login+=" $1=\"${value//\"/\\\"}\""
        shift 2
    done
    as_property "$login;"
}
