# What vmsvc asks of peers: verbs, which stand between the head and the tail of vmsvc.core.transport.asking.

# Runs vmsvc, in the locale of a login.
call_vmsvc() {
    PATH=$PATH:/usr/local/sbin:/usr/local/bin
    command -v vmsvc >/dev/null 2>&1 || fail "vmsvc is in no directory of $PATH"
    if [ "$old_locale" ]; then LC_ALL=$old_locale; else unset LC_ALL; fi
    exec vmsvc "$@" </dev/null
}

# The node's host mode, one word.
mode() {
    told=$(call_vmsvc node) || fail "vmsvc does not tell of this node"
    told=$(printf '%s\n' "$told" | sed -n 's/^mode  *//p')
    [ "$told" ] || fail "vmsvc does not tell the host mode"
    echo "$told"
}

# A pattern would mean more services than were asked for, and an option none.
permit_name() {
    case $1 in
        -* | */* | *'*'* | *'?'* | *'['*) refuse "a name that no service has" ;;
    esac
}

# What the node says of services, without asking others in turn.
status() {
    for service; do
        permit_name "$service"
    done
    call_vmsvc status --local --format json -- "$@"
}

# The same of their guests alone: all that a start has to know.
guests() {
    for service; do
        permit_name "$service"
    done
    call_vmsvc status --local --format json --rid container -- "$@"
}

# Whether a file system is mounted on a directory: df tells the mount point last, which may have blanks in it.
mounted() {
    case $1 in
        /*) ;;
        *) refuse "a directory without its full path" ;;
    esac
    [ -d "$1" ] || fail "there is no directory $1"
    # By whatever name it is called: with a slash at its end, or by a link.
    cd -P "$1" || fail "$1 cannot be entered"
    here=$(pwd -P)
    case $here in //*) here=/${here#//} ;; esac
    told=$(df -P .) || fail "df does not tell where $1 is"
    case $told in
        *"% $here" | *" - $here") echo yes ;;
        *) echo no ;;
    esac
}

# Every key that the line of this script is for may ask for all of it.
permit() {
    :
}

do_verb() {
    verb=$1
    shift
    case $verb/$# in
        hello/0) hello ;;
        mode/0) mode ;;
        mounted/1) mounted "$1" ;;
        status/0 | guests/0) refuse "a verb that says of which services" ;;
        status/*) status "$@" ;;
        guests/*) guests "$@" ;;
        *) refuse "a verb that there is not" ;;
    esac
}
