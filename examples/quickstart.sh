#!/bin/bash
# ODMR from end to end on this machine: builds odmr and odmrd, starts a provider on the loopback interface, puts mail
# into its spool and fetches it into a Maildir. Needs Debian 12 (or an Ubuntu like it), and root for the packages unless
# they are there. Changes nothing outside the source's build/ and a temporary folder, and leaves nothing running.
#
#   examples/quickstart.sh              the folder is removed at the end
#   KEEP=DIR examples/quickstart.sh     it is DIR, and stays
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
bin_dir=$source_dir/build/release
provider_pid=

bold='' plain=''
if [ -t 1 ]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi

say() {
    printf '\n'
    printf '%s\n' "$@"
}
die() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# Prints a command as one would type it, and runs it.
show() {
    printf '\n  %s$ %s%s\n' "$bold" "$1" "$plain"
    eval "$1" 2>&1 | sed 's/^/  /'
}

stop_provider() {
    [ -z "$provider_pid" ] && return
    kill "$provider_pid" 2>/dev/null || true
    wait "$provider_pid" 2>/dev/null || true
    provider_pid=
}

clean_up() {
    local status=$?
    trap - EXIT
    stop_provider
    if [ "$status" -ne 0 ] && [ -s "$folder/odmrd.log" ]; then
        printf '\nquickstart: it went wrong. The last lines of the provider:\n' >&2
        tail -n 20 "$folder/odmrd.log" >&2
    fi
    [ -n "${KEEP:-}" ] || rm -rf "$folder"
    exit "$status"
}

make_folder() {
    if [ -n "${KEEP:-}" ]; then
        (umask 077 && mkdir -p "$KEEP")
        folder=$(cd "$KEEP" && pwd)
        [ -z "$(ls -A "$folder")" ] || die "$folder is not empty; KEEP names a new folder"
    else
        folder=$(mktemp -d "${TMPDIR:-/tmp}/odmr-quickstart.XXXXXX")
    fi
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# --- getting the programs

# Ninja says "[12/89] …": on a terminal the numbers pass by on one line.
count_steps() {
    local line
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$folder/build.log"
        if [ -t 1 ] && [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
            printf '\rBuilding: %s of %s ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        fi
    done
}

quietly() {
    "$@" >>"$folder/build.log" 2>&1 && return
    tail -n 30 "$folder/build.log" >&2
    die "failed: $*"
}

build() {
    printf 'Installing what the build needs, unless it is there.\n'
    quietly "$source_dir/packaging/install-deps"
    printf 'Building (a few minutes the first time).'
    cd "$source_dir"
    local -a options=()
    # Several files at once: who tries it does not go on to change it.
    [ -e build/release/CMakeCache.txt ] || options=(-DODMR_UNITY=ON)
    quietly cmake --preset release "${options[@]}"
    if ! cmake --build --preset release 2>&1 | count_steps; then
        tail -n 30 "$folder/build.log" >&2
        die "the build failed"
    fi
    printf '\rBuilt %s/odmr and odmrd.          \n' "$bin_dir"
    cd "$folder"
    PATH=$bin_dir:$PATH
}

# --- what the session needs

# An authority of our own, and the provider's certificate. The host is an address here, since not every bare system can
# look up "localhost"; a real provider has a name.
make_certificate() {
    openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    openssl req -x509 -new -key ca.key -days 30 -subj '/CN=Quickstart CA' -out ca.pem
    openssl ecparam -name prime256v1 -genkey -noout -out provider.key
    openssl req -new -key provider.key -subj '/CN=127.0.0.1' -out provider.csr
    printf 'subjectAltName = IP:127.0.0.1\n' >provider.ext
    openssl x509 -req -in provider.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
        -extfile provider.ext -out provider.pem
}

# As it would be done on two machines: the customer learns the password from the provider by telephone.
make_secret() {
    openssl rand -base64 24 >provider.secret
    cp provider.secret customer.secret
}

write_provider_configuration() {
    cat >odmrd.toml <<'END'
spool    = "spool"
hostname = "odmr.provider.example"

[listen.odmr]
address     = "127.0.0.1:0"         # port 0: the system chooses one
certificate = "provider.pem"
key         = "provider.key"

[customer.anna]
user          = "example.org"
password_file = "provider.secret"
domains       = ["example.org", "example.com"]
END
}

write_customer_configuration() {
    cat >odmr.toml <<END
state_dir = "state"
hostname  = "mail.example.org"

[deliver]
to = "maildir://$folder/Maildir"

[provider.isp]
host          = "127.0.0.1"
port          = $1
ca_file       = "ca.pem"
user          = "example.org"
password_file = "customer.secret"
domains       = ["example.org", "example.com"]
END
}

# header FROM TO SUBJECT
header() {
    printf 'From: %s\nTo: %s\nSubject: %s\n' "$1" "$2" "$3"
    printf 'Date: %s\nMessage-ID: <%s@sender.example>\nMIME-Version: 1.0\n' "$(LC_ALL=C date -R)" "$RANDOM$RANDOM"
}

write_letters() {
    mkdir letters
    {
        header 'Ben <ben@sender.example>' 'Anna <anna@example.org>' 'Saturday'
        printf 'Content-Type: text/plain\n\nDear Anna,\n\nshall we meet at ten, at the bridge?\n\nBen\n'
    } >letters/plain.eml
    {
        header 'The Club <club@sender.example>' 'members@sender.example' 'Minutes of the meeting'
        printf 'Content-Type: text/plain\n\nAll motions were carried.\n'
    } >letters/several.eml
    {
        header 'Jürgen <jürgen@müller.example>' 'Grüße <grüße@example.org>' 'Äpfel, Nüsse'
        printf 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nViele Grüße!\n'
    } >letters/utf8.eml
    {
        header 'Ben <ben@sender.example>' 'Anna <anna@example.org>' 'The photograph'
        printf 'Content-Type: multipart/mixed; boundary="=-quick"\n\n--=-quick\nContent-Type: text/plain\n\nHere it is.\n'
        printf -- '--=-quick\nContent-Type: image/jpeg\nContent-Transfer-Encoding: base64\n'
        printf 'Content-Disposition: attachment; filename="bridge.jpg"\n\n'
        head -c 4194304 /dev/urandom | base64
        printf -- '--=-quick--\n'
    } >letters/photograph.eml
}

start_provider() {
    printf '\n  %s$ odmrd serve -c odmrd.toml &%s\n' "$bold" "$plain"
    odmrd serve -c odmrd.toml >odmrd.out 2>odmrd.log &
    provider_pid=$!
    for _ in $(seq 100); do
        grep -q '^listening on ' odmrd.out && break
        kill -0 "$provider_pid" 2>/dev/null || die "odmrd ended at once"
        sleep 0.1
    done
    grep -q '^listening on ' odmrd.out || die "odmrd does not listen"
    sed 's/^/  /' odmrd.out
}

# --- the session

hold_mail() {
    say 'THE PROVIDER is the MX of example.org and example.com, and holds their mail for a' \
        'customer whose server has no fixed address. This is its configuration:'
    show 'cat odmrd.toml'
    say 'Its mail server would hand every message for these domains to "odmrd enqueue".' \
        'Here we do it: a plain letter, one for three recipients in two domains, one whose' \
        'addresses are not ASCII, and one with a photograph of 4 MiB.'
    show 'odmrd enqueue -c odmrd.toml -f ben@sender.example anna@example.org <letters/plain.eml'
    show 'odmrd enqueue -c odmrd.toml -f club@sender.example anna@example.org carl@example.org office@example.com <letters/several.eml'
    show 'odmrd enqueue -c odmrd.toml -f jürgen@müller.example grüße@example.org <letters/utf8.eml'
    show 'odmrd enqueue -c odmrd.toml -f ben@sender.example anna@example.org <letters/photograph.eml'
    say 'What is held now, by domain:'
    show 'odmrd spool -c odmrd.toml'
    say 'The daemon waits for customers. Nobody logs in before TLS has begun.'
    start_provider
}

fetch_mail() {
    write_customer_configuration "$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' odmrd.out)"
    say 'THE CUSTOMER dials out and lets the provider turn the line round. It needs to know' \
        'where received mail goes ([deliver]; most would have the local mail server there,' \
        '"smtp://127.0.0.1:25"), whom to ask, how to log in, and which domains to take.' \
        'TLS is required unless said otherwise; ca_file is here because no public authority' \
        'has signed this provider'\''s certificate.'
    show 'cat odmr.toml'
    say '"check" finds every fault of a configuration at once, and connects to nothing.'
    show 'odmr check -c odmr.toml'
    say 'Now fetch. The log goes to standard error, the last line is the result.'
    show 'odmr run -c odmr.toml'
    say 'Every message was answered 250 only after it was on disk, here:'
    show 'ls -l Maildir/new'
}

look_at_mail() {
    local letter photograph
    letter=$(grep -l '^Subject: Minutes' Maildir/new/*)
    photograph=$(grep -l '^Subject: The photograph' Maildir/new/*)
    say 'The letter for three. Its header names none of them: the reverse-path and the' \
        'recipients are those of the envelope. (Who fetches the mail of a whole domain from' \
        'one POP3 mailbox has to guess them.) Received says how it came.'
    show "sed '/^\$/q' '${letter#"$folder"/}'"
    say 'And the photograph has not changed on the way (everything below the header):'
    show "cmp <(sed '1,/^\$/d' letters/photograph.eml) <(sed '1,/^\$/d' '${photograph#"$folder"/}') && echo the same"
}

fetch_again() {
    say 'The provider has nothing left, and the next run says so. With --json it says it to' \
        'a program; -q would say nothing at all. The exit status is 0 in each case.'
    show 'odmrd spool -c odmrd.toml'
    show 'odmr run -c odmr.toml --json 2>/dev/null'
}

# The first connection's lines of a trace, without everything that says whose they are.
print_dialogue() {
    sed -n -E '/^trace: [<>] /{
        s/ session=.* line=/ /
        s/^trace: < "?/  provider: /
        s/^trace: > "?/  odmr:     /
        s/"$//
        s/\*{5}/(secret)/
        s/^(.{90}).+/\1 .../
        p
    }; /^info: line down/q' "$1"
}

show_dialogue() {
    say 'One letter more, to see the dialogue: -vv logs what goes over the wire, but no secret' \
        'and no content.'
    show 'odmrd enqueue -c odmrd.toml -f ben@sender.example anna@example.org <letters/plain.eml'
    show 'odmr run -c odmr.toml -vv 2>trace.log'
    say 'Shortened, trace.log reads as follows. EHLO and STARTTLS, EHLO again inside TLS, and' \
        'AUTH by SCRAM, in which the password is not sent and the provider has to prove that it' \
        'knows it, too. Then ATRN, and after its 250 the two change places: odmr greets, and the' \
        'provider is the client.' ''
    print_dialogue trace.log
}

make_folder
build
umask 077 # from here on there are secrets; what is built may be run by others
make_certificate >>build.log 2>&1
make_secret
write_provider_configuration
write_letters
hold_mail
fetch_mail
look_at_mail
fetch_again
show_dialogue
stop_provider

say 'That was all. Nothing is left running.'
if [ -n "${KEEP:-}" ]; then
    printf "Everything is in %s: go there and try on (the programs are in %s).\n" "$folder" "$bin_dir"
fi
cat <<'END'

With a provider of your own:
  odmr setup                   asks six questions, writes the configuration, and tries it
  odmr probe                   tries each step of a run but the last, and says what to change
  odmr status                  what came in, what waits, and what is wrong now

Where to go next:
  README.md                    a real configuration, for Postfix and for Dovecot
  examples/*.toml              configurations to begin with
  man man/odmr.1               commands, outcomes, exit statuses
  man man/odmr.toml.5          every key
END
