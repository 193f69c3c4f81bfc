#pragma once

namespace odmr::cli {

/// What a program owes its surroundings before anything else: no descriptor below 3 may come to be a mail file, a
/// broken pipe is an error and no death, files are ours alone, and no core dump holds a password.
void prepare_process();

/// Ends the program now. Threads that wait for a name server on a dead line do not hold it up, as they would in exit().
[[noreturn]] void leave(int exit_status);

}  // namespace odmr::cli
