#include "cli/common_options.hpp"

#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "show/print.hpp"

namespace odmr::cli {

void add_common(CLI::App& program, CommonOptions& options) {
  program.add_option("-c,--config", options.config, "the configuration file")->type_name("FILE");
  program.add_flag("-v,--verbose", options.verbose, "say more; twice: also what goes over the wire, without secrets");
  program.add_flag("-q,--quiet", options.quiet, "say nothing unless something is wrong");
  program.add_flag("--json", options.json, "print results as JSON, one object a line");
  program.set_version_flag("--version", program.get_name() + " " ODMR_VERSION, "print the version");
  program.set_help_flag("-h,--help", "print this help");
  program.footer("-c, -v, -q and --json (see " + program.get_name() +
                 " --help) may stand before the command or behind it.");
  program.require_subcommand(1);
  program.fallthrough();
}

std::optional<int> parse(CLI::App& program, int argc, char** argv) {
  try {
    program.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::RequiredError& error) {
    // CLI11 asks for a command even where there is one that it does not know.
    const auto unknown = program.remaining();
    if (unknown.empty()) return program.exit(error) == 0 ? 0 : k_exit_usage;
    show::print_line(stderr, program.get_name() + ": no command \"" + escape(unknown.front()) + "\"; see " +
                                 program.get_name() + " --help");
    return k_exit_usage;
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : k_exit_usage;
  }
}

}  // namespace odmr::cli
