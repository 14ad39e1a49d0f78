# What vmsvc does inside guests: verbs, which stand between the head and the tail of vmsvc.core.transport.asking.

addresses() {
    echo "$name addresses" # a shell may have greeted before
    system=$(uname -s)
    if [ "$system" = HP-UX ]; then
        echo "SYSTEM $system"
        echo "FORM netstat"
        netstat -in || exit
        netstat -in | sed -e 1d -e 's/[* ].*//' | sort -u | while read -r adapter; do ifconfig "$adapter"; done
        return
    fi
    for form in ip-json ip-text ifconfig; do
        case $form in
            ip-json) told=$(ip -j addr 2>/dev/null) ;;
            ip-text) told=$(ip addr 2>/dev/null) ;;
            ifconfig) told=$(ifconfig -a 2>/dev/null) ;;
        esac
        # shellcheck disable=SC2181 # whichever of them it was
        if [ $? = 0 ] && [ "$told" ]; then
            printf 'SYSTEM %s\nFORM %s\n%s\n' "$system" "$form" "$told"
            return
        fi
    done
    fail "neither ip nor ifconfig tells the addresses"
}

# Goes to a directory; where there is none, tells so by failing.
enter() {
    case $1 in
        /*) ;;
        *) refuse "a directory without its full path" ;;
    esac
    if [ ! -d "$1" ]; then
        [ -e "$1" ] && fail "$1 is no directory"
        return 1
    fi
    cd "$1" || fail "$1 cannot be entered"
}

# Prints `kind/name/` for each entry, of the directory itself where it is not there: a name may have any byte in it but
# `/`, and NUL.
launchers() {
    printf '%s launchers/' "$name"
    if ! enter "$1"; then
        printf 'absent/./'
    else
        [ -r . ] || fail "$1 cannot be read"
        for entry in *; do
            if [ -f "./$entry" ]; then
                if [ -x "./$entry" ]; then kind=executable; else kind=readable; fi
            elif [ -e "./$entry" ]; then
                kind=other
            elif [ -h "./$entry" ]; then
                kind=dangling
            else
                continue # nothing there: it is the pattern itself, or has just gone
            fi
            printf '%s/%s/' "$kind" "$entry"
        done
    fi
    echo end
}

# Who may call what: a launcher's name says what it is for, and what editors and packages leave behind is none.
permit_launcher() {
    case $1 in
        '' | . | .. | */*) refuse "a launcher that is not in the directory" ;;
    esac
    case $2 in
        start | stop | status | info) ;;
        *) refuse "an action that launchers do not have" ;;
    esac
    case $1/$2 in
        S*/start | S*/info | K*/stop | C*/status) ;;
        *) refuse "an action that this launcher does not have" ;;
    esac
    case $(printf '%sx' "$1" | tr ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz) in
        *~x | *.bakx | *.backupx | *.origx | *.oldx | *.savex | *.swpx | *.rejx) refuse "what looks like a backup" ;;
        *.rpmsavex | *.rpmnewx | *.rpmorigx | *.dpkg-*x | *.ucf-*x) refuse "what looks like a backup" ;;
    esac
}

# Sets `began` to when a process began, as its system counts: a later process may get its number, and not that as well.
look_when_began() {
    began=$({ cat "/proc/$1/stat"; } 2>/dev/null)
    # shellcheck disable=SC2086 # to be split; what may have blanks, its name in brackets, is left out
    set -- ${began##*') '}
    began=${20-}
}

# One launcher of a directory at a time starts or stops something. The launcher's own process is the one whose number it
# has in its environment; what it leaves behind inherits that, and has another. Not every system tells environments.
# Who looks keeps others from looking until its own mark can be seen, where there is a flock for that. It is told what is
# open: ksh hands nothing on by itself.
take_turn() {
    flock 9 9<&9 2>/dev/null
    check_turn "$1"
    look_when_began $$
    VMSVC_LAUNCHER=$$:$began:$1:
    export VMSVC_LAUNCHER
}

check_turn() {
    for process in $(grep -l VMSVC_LAUNCHER= /proc/[0-9]*/environ 2>/dev/null); do
        process=${process#/proc/}
        process=${process%/environ}
        environment=$({ tr '\000' '\001' <"/proc/$process/environ"; } 2>/dev/null)
        look_when_began "$process"
        case $environment in
            *"VMSVC_LAUNCHER=$process:$began:$1:"*) busy "a launcher of $1 still runs there, as process $process" ;;
        esac
    done
}

# Runs one launcher: by the system where it is executable, else by what its first line names, and without one by sh.
launch() {
    [ $# -ge 3 ] || refuse "launch without directory, name and action"
    directory=$1 launcher=$1/$2 action=$3
    permit_launcher "$2" "$action"
    enter "$directory" || fail "there is no directory $directory"
    cd / || exit # a daemon that stays there keeps nothing from being unmounted
    [ -f "$launcher" ] || fail "there is no launcher $launcher"
    shift 3
    for variable; do
        # Those of vmsvc's that would tell itself something, such as where its files are, are not among them.
        case ${variable%%=*} in
            *[!ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_]*) refuse "a variable of another name" ;;
            VMSVC_SERVICE | VMSVC_RID | VMSVC_NODE | VMSVC_ACTION | VMSVC_LAUNCH | OPENSVC_?*) ;;
            *) refuse "a variable of another name" ;;
        esac
        case $variable in
            *=*) export "${variable?}" ;;
            *) refuse "a variable without a value" ;;
        esac
    done
    exec 9<"$directory" || exit
    case $action in
        start | stop) take_turn "$directory" ;;
    esac
    if [ "$old_locale" ]; then LC_ALL=$old_locale; else unset LC_ALL; fi
    # By the time that another shell runs, the mark can be seen: others may look again.
    let_look='exec 9<&-; exec "$@"'
    if [ -x "$launcher" ]; then
        exec sh -c "$let_look" sh "$launcher" "$action" </dev/null 9<&9
    fi
    interpreter=
    read -r interpreter <"$launcher"
    case $interpreter in
        '#!'*) interpreter=${interpreter#??} ;;
        *) interpreter='sh' ;;
    esac
    set -f # the first line's words are split, and not taken for patterns
    # shellcheck disable=SC2086 # to be split
    exec sh -c "$let_look" sh $interpreter "$launcher" "$action" </dev/null 9<&9
}

# Ends what is left of a launch or a command, wherever it went: its processes have its mark in their environment.
end() {
    case $1 in
        *[!0-9a-f]*) refuse "a mark that is none" ;;
        ????????????????????????????????) ;;
        *) refuse "a mark that is none" ;;
    esac
    [ -r /proc/self/environ ] || fail "this system does not tell which processes a launcher has started"
    for signal in TERM KILL KILL; do
        left=$(grep -l "VMSVC_LAUNCH=$1" /proc/[0-9]*/environ 2>/dev/null)
        [ "$left" ] || break
        for process in $left; do
            process=${process#/proc/}
            kill -s "$signal" "${process%/environ}" 2>/dev/null
        done
        sleep 1
    done
    grep -l "VMSVC_LAUNCH=$1" /proc/[0-9]*/environ >/dev/null 2>&1 && fail "some of its processes do not die"
    echo "$name ended"
}

# --- who may ask for what ----------------------------------------------------------------------------------------------

permitted=

# A key is for the launchers of the directories that its line names, and of no other.
permit() {
    [ $# -ge 1 ] || refuse "permit without a directory"
    permitted='
'
    for directory; do
        permitted="$permitted$directory
"
    done
}

# Only directories that the key's own line names; on a way that lets any command in, there is nothing to protect.
permit_directory() {
    [ "$permitted" ] || return 0
    case "$permitted" in
        *"
$1
"*) ;;
        *) refuse "a directory that this key is not for" ;;
    esac
}

do_verb() {
    verb=$1
    shift
    case $verb/$# in
        hello/0) hello ;;
        addresses/0) addresses ;;
        launchers/1)
            permit_directory "$1"
            launchers "$1"
            ;;
        end/1) end "$1" ;;
        launch/*)
            permit_directory "${1-}"
            launch "$@"
            ;;
        *) refuse "a verb that there is not" ;;
    esac
}
