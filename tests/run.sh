#!/bin/bash
# Installs what the tests need, builds, and runs all of them. Debian 12, root (or everything installed already).
#
#   tests/run.sh            what CI runs
#   tests/run.sh --fast     only what runs in the process, and the quick part of lint: a few minutes
#   tests/run.sh --full     the debug build too, every byte, and every combination with real peers instead of a seeded
#                           part
#
# The last line is "N passed, N failed": Catch2's test cases, the cases with real programs, and the checks of lint and
# of the manuals. The exit status is 0 only if nothing failed.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-$(nproc)}
mode=normal
for option in "$@"; do
    case $option in
    --fast) mode=fast ;;
    --full) mode=full ;;
    *)
        printf 'usage: tests/run.sh [--fast|--full]\n' >&2
        exit 64
        ;;
    esac
done

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

heading() { printf '\n== %s (after %d:%02d min)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }

one_passed() { passed=$((passed + 1)); }
one_failed() {
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$1"
}

# Adds up what "N passed, N failed" lines of the log say; a step that says nothing of the kind has failed as such.
add_counts() {
    local what=$1 status=$2 counts good bad
    counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
    if [ -z "$counts" ]; then
        one_failed "$what: ended without a count, status $status"
        return
    fi
    good=${counts%% *}
    bad=${counts#*, }
    bad=${bad%% *}
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        one_failed "$what: status $status"
    fi
}

# counted WHAT COMMAND…: a program that ends with such a line.
counted() {
    local what=$1
    shift
    heading "$what"
    "$@" 2>&1 | tee "$log"
    add_counts "$what" "${PIPESTATUS[0]}"
}

# configure PRESET [OPTION…]: where all of it is to be compiled, several files at once, which takes half the time. With
# --full file by file, as packages are; and so does clang-tidy.
configure() {
    local preset=$1
    local -a options=()
    shift
    [ $mode = full ] || [ -e "build/$preset/CMakeCache.txt" ] || options=(-DODMR_UNITY=ON)
    cmake --preset "$preset" "${options[@]}" "$@"
}

# build PRESET: quietly; all of the output when it fails.
build() {
    heading "build $1"
    if { configure "$1" && cmake --build --preset "$1" -j "$jobs"; } >"$log" 2>&1; then
        tail -n 1 "$log"
        return 0
    fi
    cat "$log"
    one_failed "build $1"
    return 1
}

# How a test program sums up: Catch2's two ways, and the line of a program that runs others.
summary='^(All tests passed \(|test cases:|[0-9]+ passed, [0-9]+ failed$)'

# Of each test program the summary counts; one that ended without, by a sanitizer's word or a signal, is a failure
# itself.
add_process_counts() {
    local preset=$1 results=build/$1/Testing/Temporary/LastTest.log line good bad
    while IFS= read -r line; do
        good=$(sed -nE 's/.*in ([0-9]+) test cases?\).*/\1/p; s/^test cases:.* ([0-9]+) passed.*/\1/p
            s/^([0-9]+) passed, .*/\1/p' <<<"$line")
        bad=$(sed -nE 's/^test cases:.* ([0-9]+) failed.*/\1/p; s/^.* passed, ([0-9]+) failed$/\1/p' <<<"$line")
        passed=$((passed + ${good:-0}))
        failed=$((failed + ${bad:-0}))
        printf '%s\n' "$line"
    done < <(grep -E "$summary" "$results")
    local programs summaries
    programs=$(grep -c '^Test time = ' "$results")
    summaries=$(grep -cE "$summary" "$results")
    if [ "$programs" -ne "$summaries" ]; then
        one_failed "$preset: $((programs - summaries)) of $programs test programs broke off"
    fi
    [ "$programs" -gt 0 ] || one_failed "$preset: no test program ran"
}

in_process() {
    local preset=$1
    build "$preset" || return
    heading "tests in the process, $preset"
    rm -f "build/$preset/Testing/Temporary/LastTest.log"
    if ! ctest --preset "$preset" -j "$jobs" >"$log" 2>&1; then
        cat "$log"
    fi
    grep -E '^ *[0-9]+/[0-9]+ Test' "$log"
    add_process_counts "$preset"
}

# README's first command, and what a reader should see of it.
quickstart() {
    heading 'examples/quickstart.sh'
    if examples/quickstart.sh >"$log" 2>&1 &&
        grep -q '^  isp: 4 messages for 6 recipients' "$log" &&
        grep -q '^  the same$' "$log" &&
        grep -q '"outcome":"no-mail","exit":0' "$log" &&
        grep -q '^  provider: EHLO odmr.provider.example$' "$log"; then
        one_passed
        printf 'ok    quickstart\n'
    else
        cat "$log"
        one_failed 'quickstart'
    fi
}

# Whole sessions need nearly all of the program built once more, by clang: with --full.
fuzzed=()
[ $mode = full ] || fuzzed=(reply command dot config header addresses spool)

# Each byte of a session, for which a sanitizer takes too long: a part of them, and with --full all.
unsanitized=(odmr_collect_tests odmr_cuts_tests)
one_in=8
if [ $mode = full ]; then
    unsanitized+=(odmr_conversation_tests)
    one_in=1
fi

# What takes long to build and is needed later, beside the real programs, which mostly wait.
build_later() {
    tests/packages/run --bare || true # it will say so itself
    configure asan && cmake --build --preset asan -j "$jobs" || return
    configure release -DODMR_TESTS=ON && cmake --build --preset release -j "$jobs" \
        --target "${unsanitized[@]}" || return
    configure tsan && cmake --build --preset tsan -j "$jobs" --target odmr_threads_tests || return
    configure fuzz && JOBS=$jobs tests/fuzz/run 0 "${fuzzed[@]}"
}
later=
begin_building_later() {
    later=$(mktemp)
    build_later >"$later" 2>&1 &
    later_job=$!
    renice -n 10 -p "$later_job" >/dev/null
}

end_building_later() {
    heading 'the builds for what follows'
    if wait "$later_job"; then
        printf 'are there\n'
    else
        cat "$later"
        one_failed 'the builds for what follows'
    fi
    rm -f "$later"
}

every_byte=
begin_every_byte() {
    local program
    [ -x build/release/odmr_cuts_tests ] || return
    every_byte=$(mktemp)
    (
        export ODMR_ONE_IN=$one_in
        for program in "${unsanitized[@]}"; do
            "build/release/$program" || exit
        done
    ) >"$every_byte" 2>&1 &
    every_byte_job=$!
}

end_every_byte() {
    [ -n "$every_byte" ] || return
    heading "of every byte and every step one in $one_in"
    local status=0 cases
    wait "$every_byte_job" || status=$?
    cat "$every_byte"
    cases=$(sed -nE 's/^All tests passed .* in ([0-9]+) test cases?\)$/\1/p' "$every_byte" |
        awk -v programs=${#unsanitized[@]} '{ sum += $1 } END { if (NR == programs) print sum }')
    passed=$((passed + ${cases:-0}))
    if [ "$status" -ne 0 ] || [ -z "$cases" ]; then
        one_failed "every byte: status $status"
    fi
    rm -f "$every_byte"
}

# What has threads, under ThreadSanitizer: as much of the program as these tests need. With --full all tests.
threads() {
    heading 'threads, under ThreadSanitizer'
    local -a target=(--target odmr_threads_tests)
    [ $mode = full ] && target=()
    if ! { configure tsan && cmake --build --preset tsan -j "$jobs" "${target[@]}"; } >"$log" 2>&1; then
        cat "$log"
        one_failed 'build tsan'
        return
    fi
    local -a choice=(-R '^threads$')
    [ $mode = full ] && choice=()
    rm -f build/tsan/Testing/Temporary/LastTest.log
    if ! ctest --preset tsan -j "$jobs" "${choice[@]}" >"$log" 2>&1; then
        cat "$log"
    fi
    add_process_counts tsan
}

lint=()
[ $mode = full ] && lint=(--full)

with_real_programs() {
    local -a choice=()
    [ $mode = full ] && choice=(--full)
    build release || return
    counted 'manuals' tests/manual
    counted 'completions' tests/completions
    counted 'terminal screens' tests/terminal/run
    quickstart
    begin_building_later
    counted 'real peers' tests/peers/run "${choice[@]}"
    counted 'outcomes' tests/peers/outcomes "${choice[@]}"
    counted 'faults' tests/faults/run "${choice[@]}"
    end_building_later
    counted 'packages' tests/packages/run
    begin_every_byte
    in_process asan
    threads
    fuzzing
}

# Each target for a minute with --full; otherwise for what CI has left.
fuzzing() {
    local minutes=0.25
    [ $mode = full ] && minutes=1
    JOBS=$jobs counted 'fuzzing' tests/fuzz/run "$minutes" "${fuzzed[@]}"
}

heading 'what the tests need'
needs=(--tests --lint)
[ $mode = fast ] || needs+=(--packaging)
if packaging/install-deps "${needs[@]}" >"$log" 2>&1; then
    printf 'is there\n'
else
    cat "$log"
    one_failed "packaging/install-deps ${needs[*]}"
fi
# What was compiled once is not compiled again, in another clone neither.
if [ -z "${CMAKE_CXX_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi

if [ $mode = fast ]; then
    in_process asan
    counted 'lint' tests/lint --fast
else
    with_real_programs
    if [ $mode = full ]; then
        in_process dev
    fi
    counted 'lint' tests/lint "${lint[@]}"
    end_every_byte
fi
heading 'all done'
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
