#include "app/sendmail_options.hpp"

#include <algorithm>
#include <string_view>

#include "base/ascii.hpp"

namespace odmr::app {

namespace {

using Mode = SendmailOptions::Mode;

// By how they take their values.
constexpr std::string_view k_flags = "itnmvUGI";
constexpr std::string_view k_with_value = "bcfrFCoBNRVhLOXADepx";  // attached, or the next argument
constexpr std::string_view k_with_attached_value = "qd";           // or none

tl::unexpected<Error> wrong(std::string text) {
  return fail(Errc::malformed, std::move(text) + "; see sendmail --help");
}

class Parser {
 public:
  Parser(const std::vector<std::string>& arguments, SendmailOptions start)
      : arguments_(arguments), options_(std::move(start)) {}

  Result<SendmailOptions> parse() {
    bool are_options_over = false;
    while (at_ < arguments_.size()) {
      const std::string& argument = arguments_[at_++];
      if (are_options_over || argument.size() < 2 || argument.front() != '-') {
        options_.recipients.push_back(argument);
      } else if (argument == "--") {
        are_options_over = true;
      } else if (auto taken = argument[1] == '-' ? take_word(argument) : take_letters(argument); !taken) {
        return fail(taken.error());
      }
    }
    return std::move(options_);
  }

 private:
  Result<void> take_word(const std::string& argument) {
    const auto equals = std::min(argument.find('='), argument.size());
    const std::string word = argument.substr(0, equals);
    if (word == "--config") {
      if (equals == argument.size() && at_ == arguments_.size()) return wrong("--config needs a file");
      options_.config = equals < argument.size() ? argument.substr(equals + 1) : arguments_[at_++];
      return {};
    }
    if (argument == "--direct") {
      options_.direct = true;
    } else if (argument == "--help") {
      options_.mode = Mode::help;
    } else if (argument == "--version") {
      options_.mode = Mode::version;
    } else {
      return wrong("unknown option " + escape(argument, 60));
    }
    return {};
  }

  // "-t", "-ti", "-fADDRESS", "-f ADDRESS", "-tfADDRESS".
  Result<void> take_letters(const std::string& argument) {
    for (std::size_t i = 1; i < argument.size(); ++i) {
      const char letter = argument[i];
      if (k_flags.find(letter) != std::string_view::npos) {
        take_flag(letter);
        continue;
      }
      const std::string attached = argument.substr(i + 1);
      if (k_with_attached_value.find(letter) != std::string_view::npos) {
        if (letter == 'q') options_.mode = Mode::flush;
        return {};
      }
      if (k_with_value.find(letter) == std::string_view::npos) {
        return wrong("unknown option -" + escape(argument.substr(i, 1)));
      }
      if (attached.empty() && at_ == arguments_.size()) return wrong(std::string("-") + letter + " needs a value");
      return take_value(letter, attached.empty() ? arguments_[at_++] : attached);
    }
    return {};
  }

  void take_flag(char letter) {
    if (letter == 't') options_.from_header = true;
    if (letter == 'i') options_.dot_ends = false;
    if (letter == 'I') options_.mode = Mode::aliases;
  }

  Result<void> take_value(char letter, const std::string& value) {
    switch (letter) {
      case 'b':
        return take_mode(value);
      case 'c':
      case 'C':
        options_.config = value;
        return {};
      case 'f':
      case 'r':
        options_.sender = value;
        return {};
      case 'F':
        options_.full_name = value;
        return {};
      case 'o':
        if (value.front() == 'i') options_.dot_ends = false;
        return {};
      default:
        return {};
    }
  }

  Result<void> take_mode(const std::string& value) {
    constexpr std::string_view letters = "mspi";
    constexpr Mode modes[] = {Mode::submit, Mode::session, Mode::list, Mode::aliases};
    const auto found = value.size() == 1 ? letters.find(value.front()) : std::string_view::npos;
    if (found == std::string_view::npos) return wrong("-b" + escape(value, 60) + " is not to be had here");
    options_.mode = modes[found];
    return {};
  }

  const std::vector<std::string>& arguments_;
  std::size_t at_ = 0;
  SendmailOptions options_;
};

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Options of odmr itself that may stand before the command and mean nothing to this one.
bool is_passed_over(const std::string& argument) {
  if (argument == "--verbose" || argument == "--quiet" || argument == "--json") return true;
  return argument.size() > 1 && argument.front() == '-' && argument.find_first_not_of("vq", 1) == std::string::npos;
}

}  // namespace

Result<SendmailOptions> parse_sendmail(const std::vector<std::string>& arguments, SendmailOptions start) {
  return Parser(arguments, std::move(start)).parse();
}

std::optional<SendmailCall> sendmail_call(const std::vector<std::string>& command_line) {
  if (command_line.empty()) return std::nullopt;
  SendmailCall call;
  call.name = last_part(command_line.front());
  auto at = command_line.begin() + 1;
  if (call.name == "mailq") call.start.mode = Mode::list;
  if (call.name == "newaliases") call.start.mode = Mode::aliases;
  if (call.name != "mailq" && call.name != "newaliases" && call.name != "sendmail") {
    call.name = "odmr sendmail";
    for (; at != command_line.end() && *at != "sendmail"; ++at) {
      if ((*at == "-c" || *at == "--config") && at + 1 != command_line.end()) {
        call.start.config = *++at;
      } else if (at->starts_with("--config=")) {
        call.start.config = at->substr(std::string_view("--config=").size());
      } else if (at->starts_with("-c") && at->size() > 2) {
        call.start.config = at->substr(2);
      } else if (!is_passed_over(*at)) {
        return std::nullopt;
      }
    }
    if (at == command_line.end()) return std::nullopt;
    ++at;
  }
  call.arguments.assign(at, command_line.end());
  return call;
}

std::string sendmail_help(const std::string& name) {
  return "Usage: " + name + R"( [OPTION...] [RECIPIENT...]

Takes a message from standard input, as sendmail(1) always did, and puts it into
the outbound queue.

    -t            recipients are those in To, Cc and Bcc, too
    -i, -oi       a line with a dot alone does not end the message
    -f, -r ADDR   the sender (reverse-path); "<>" for none
    -F NAME       the sender's full name, for a From that is missing
    -bm           submit a message (the default)
    -bs           an SMTP session on standard input and output
    -bp           list the queue, as mailq does
    -bi, -I       nothing, as newaliases does: there are no aliases
    -q...         send now what is in the queue
    -c, -C FILE   the configuration; also --config FILE
    --direct      straight to the smart host: its answer is the exit status
    --            all that follows are recipients
    --version     print the version
    --help        print this help

Taken for compatibility, without effect: -A -B -D -G -L -N -O -R -U -V -X -d -e
-h -m -n -o -p -v -x. See odmr-sendmail(1).
)";
}

}  // namespace odmr::app
