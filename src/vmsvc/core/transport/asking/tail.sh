# The end of every script of verbs. Of those it has `do_verb VERB [WORD…]`, and `permit [WORD…]`, which is told what the
# key's own line says.

perform() {
    [ $# -ge 1 ] || refuse "no verb"
    verb=$1
    shift
    case $verb in
        */*) refuse "a verb that there is not" ;; # a word of a verb counts as one, and is not part of its name
    esac
    for word; do # each word's turn comes once: it goes out in front, and comes in behind
        decode "$word"
        shift
        set -- "$@" "$decoded"
    done
    do_verb "$verb" "$@"
}

if [ "${1-}" != permit ]; then
    perform "$@"
    exit
fi
shift
permit "$@"
case ${SSH_ORIGINAL_COMMAND-} in
    *[!ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=%\ -]*) refuse "a command that is not vmsvc's" ;;
    "$name "*) ;;
    *) refuse "a command that is not vmsvc's" ;;
esac
set -f
IFS=' '
# shellcheck disable=SC2086 # to be split
set -- $SSH_ORIGINAL_COMMAND
IFS=' 	
'
set +f
shift
perform "$@"
