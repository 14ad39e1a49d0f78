# The beginning of every script of verbs; what follows are the verbs, and then tail.sh. For any shell of POSIX: dash, ash
# of busybox, ksh, sh of AIX, HP-UX and Solaris 11.
#
#     sh -c 'eval "$VMSVC_VERBS"' NAME VERB [WORD…]  by a way that lets any command in
#     sh SCRIPT permit [WORD…]                       as the forced command of an ssh key (sshd(8), authorized_keys)
#
# The second reads what the client asked for from SSH_ORIGINAL_COMMAND, `NAME VERB [WORD…]`, and does that and nothing
# else. Nothing that a client sends is evaluated: a command consists of letters, digits, `_ . / = % -` and blanks, in
# which no shell sees anything to expand; and in words, `%` and three octal digits stand for any other byte.

old_locale=${LC_ALL-}
LC_ALL=C # what is no letter in some locale is still a byte
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH
unset VMSVC_VERBS

refuse() {
    echo "$name: refused: $1" >&2
    exit 126
}

fail() {
    echo "$name: $1" >&2
    exit 125
}

busy() {
    echo "$name: $1" >&2
    exit 124
}

# Sets `decoded` to what a word stands for. The x keeps newlines at its end, which a substitution would drop.
decode() {
    case $1 in
        '' | *[!ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=%-]*) refuse "a word that is not encoded" ;;
    esac
    decoded=$1
    case $1 in
        *%*) ;;
        *) return ;;
    esac
    case $1 in
        *%000*) refuse "a word with a NUL byte" ;;
    esac
    case $(printf '%s\n' "$1" | sed -e 's/%[0-3][0-7][0-7]//g') in
        *%*) refuse "a word that cannot be decoded" ;;
    esac
    decoded=$(printf '%b' "$(printf '%s\n' "$1" | sed -e 's/%/\\0/g')x")
    decoded=${decoded%x}
}

hello() {
    echo "$name 1"
}
