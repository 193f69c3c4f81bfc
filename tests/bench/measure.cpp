// Runs a program and says what it took: measure FILE COMMAND…
//
// The file gets one JSON object; the exit status is the program's. A small program of its own, because the kernel's
// account of the highest memory begins with what the parent had.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    execvp(argv[2], argv + 2);
    std::perror(argv[2]);
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return 71;
  std::FILE* file = std::fopen(argv[1], "w");
  if (file == nullptr) return 73;
  std::fprintf(file, "{\"user\": %.6f, \"system\": %.6f, \"resident_kib\": %ld, \"switches\": %ld}\n",
               seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss, usage.ru_nvcsw + usage.ru_nivcsw);
  std::fclose(file);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
