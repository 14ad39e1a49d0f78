# Runs one command inside of a unix guest for its agent. Any POSIX shell will do.
#
# The agent keeps all that is printed in memory, and tells of a command's end only when nobody holds its output open any
# more: a daemon could do that for ever. So the command prints into pipes of its own, whose readers keep the beginning of
# each stream, drop the rest, and leave soon after the command's end. A mark that the caller has made up (in two halves,
# so that no list of processes shows it whole) tells where the output of the command ends, and that all of it is there.
#
#   sh -c TEXT NAME TEXT lead BEGIN HALF HALF LIMIT PROGRAM PATH [ARGUMENT...]
#
# The text of this script is its own first argument, since it goes through three processes:
#   lead    becomes the leader of a session, so that the caller can signal all that serves the command, and nothing else
#   serve   keeps the output, ends the command when it is told to (SIGTERM), and returns its exit code
#   become  turns into the command, in a session of the command's own
text=$1 step=$2
shift 2
case $step in

lead)
    own=
    command -v setsid >/dev/null 2>&1 && own=setsid
    exec $own /bin/sh -c "$text" "$0" "$text" serve "$own" "$@"
    ;;

serve)
    own=$1 end=$2$3 limit=$4
    trap '' TERM USR1
    # Copies without a buffer until nobody writes any more, or SIGUSR1 comes, or nobody wants it. In the last two cases
    # the rest is read and dropped: those who still write would die of a pipe that nobody reads.
    copy() {
        exec 7<&0
        (trap - USR1 && exec cat) || { cat <&7 & } >/dev/null
    }
    exec 3>&1 4>&2 2>/dev/null
    # 3, 4: what the agent reads. 5, 8: the command's output and errors. 6: what happens, told to the last of all.
    {
        {
            {
                (trap - TERM USR1 && exec /bin/sh -c "$text" "$0" "$text" become "$@" 2>&8 3>&- 4>&- 8>&-)
                code=$?
                printf %s "$end"
                printf %s "$end" >&8
                echo $code >&6
            } 8>&1 >&5 5>&- | { copy 3>&- 4>&- | head -c "$limit" >&4; } 5>&- 6>&-
        } 5>&1 | { copy 3>&- 4>&- | head -c "$limit" >&3; } 6>&-
    } 6>&1 >/dev/null | {
        exec 3>&- 4>&-
        read -r session && trap 'late=1; pkill -9 -s "$session"; kill -9 "-$session"' TERM
        until read -r code || [ -z "$late" ]; do late=; done # a signal interrupts it
        [ "$code" ] || kill -9 $$ # what waited for the command was killed: its exit code is lost
        [ -z "$own" ] || { { sleep 0.2 || sleep 1; } && kill -USR1 0; } &
        exit "$code"
    } >/dev/null
    ;;

become)
    own=$1 end=$2$3 name=$5 path=${6:-$PATH}
    shift 6
    echo $$ >&6
    case $name in
    */*)
        found=$name
        ;;
    *)
        set -f
        IFS=:
        for place in $path; do
            found=${place:-.}/$name
            [ -f "$found" ] && [ -x "$found" ] && break
            found=
        done
        unset IFS
        ;;
    esac
    if ! [ -e "$found" ]; then
        printf %s "${end}no-such-command" >&2
    elif ! [ -f "$found" ] || ! [ -x "$found" ]; then
        printf %s "${end}not-executable" >&2
    else
        # Arguments come as printf's %b reads them: the agent's JSON takes all characters but a few.
        left=$#
        while [ "$left" -gt 0 ]; do
            word=$1
            case $word in
            *\\*)
                word=$(printf '%bx' "$word") # the x keeps line breaks at its end
                word=${word%x}
                ;;
            esac
            shift
            set -- "$@" "$word"
            left=$((left - 1))
        done
        exec $own "$@" 6>&-
    fi
    exit 127
    ;;
esac
