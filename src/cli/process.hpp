#pragma once

#include <string>

namespace odmr::cli {

/// What a program owes its surroundings before anything else: no descriptor below 3 may come to be a mail file, a
/// broken pipe is an error and no death, files are ours alone, and no core dump holds a password.
void prepare_process();

/// Runs a program's own main; what it throws is a fault of ours, said on stderr, and exit status 70.
int guarded(const std::string& program, int (*own_main)(int, char**), int argc, char** argv);

/// For a command whose whole work is what it prints: where that could not be written (a full disk), says so, and an
/// exit status of 0 becomes 74. A reader who has seen enough (head) is no failure.
int as_printed(const std::string& program, int status);

/// Ends the program now. Threads that wait for a name server on a dead line do not hold it up, as they would in exit().
[[noreturn]] void leave(int exit_status);

}  // namespace odmr::cli
