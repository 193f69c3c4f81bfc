#pragma once

#include <exception>
#include <string>

namespace odmr::cli {

/// What a program owes its surroundings before anything else: no descriptor below 3 may come to be a mail file, a
/// broken pipe is an error and no death, files are ours alone, and no core dump holds a password.
void prepare_process();

/// Says on stderr what was thrown, and gives the exit status: a fault of ours, 70; but 73 where the system allows us
/// too few file descriptors.
int tell_fault(const std::string& program, const std::exception& problem);

/// Runs a program's own main; what it throws is told by tell_fault().
int guarded(const std::string& program, int (*own_main)(int, char**), int argc, char** argv);

/// For a command whose whole work is what it prints: where that could not be written (a full disk), says so, and an
/// exit status of 0 becomes 74. A reader who has seen enough (head) is no failure.
int as_printed(const std::string& program, int status);

/// Ends the program now. Threads that wait for a name server on a dead line do not hold it up, as they would in exit().
[[noreturn]] void leave(int exit_status);

}  // namespace odmr::cli
