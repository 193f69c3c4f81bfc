#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/remedy.hpp"

namespace odmr::app {

/// A line of a log, as `odmr run -vv` writes it.
struct TraceLine {
  std::string event;
  std::vector<std::pair<std::string, std::string>> fields;

  /// The value of a field, empty without it.
  const std::string& field(const std::string& key) const;
};

/// What a trace tells of one session.
struct Explanation {
  std::string session;
  std::string provider;                                    ///< empty: the outbound flush
  std::string server;                                      ///< "odmr.example.net:366", where it is said
  std::vector<std::pair<std::string, std::string>> steps;  ///< how far it came: "greeting", and the server's words
  std::vector<std::string> warnings;                       ///< what else was said, the last of it
  std::optional<Outcome> outcome;                          ///< none: the trace ends before the session
  Cause cause = Cause::unknown;
  std::string text;
  std::string remedy;
};

/// Reads a trace line by line, whatever is in it, and says afterwards what it tells of each session. Of very many
/// sessions the last are kept.
class Explainer {
 public:
  /// A line of the log.
  void add(const TraceLine& line);
  /// A session's own report (`--json`, or the line that `odmr run` prints): all of it is optional.
  void add_report(const std::string& session, const std::string& provider, Outcome outcome, Cause cause,
                  const std::string& text);

  /// In the order in which they began.
  std::vector<Explanation> explain() const;
  std::size_t left_out() const { return left_out_; }

 private:
  // A conversation, with whom is not said in the trace.
  struct Line {
    std::string command;  // the last, ours
    std::string reply;    // to it; empty: none has come
    bool has_said_atrn = false;
    bool has_logged_in = false;
    bool is_turned = false;
    std::size_t messages_offered = 0;
    std::size_t order = 0;
  };
  struct Session {
    Explanation told;
    std::map<std::string, Line> lines;  // by peer
    std::string peer;                   // the server's, where it is said
    bool is_flush = false;
  };

  Session& session_of(const std::string& id);
  void note_wire(Session& session, const TraceLine& line, bool is_ours);
  static void note_step(Session& session, const std::string& step, const std::string& what);
  static const Line* line_with_server(const Session& session);
  static void conclude(Session& session);

  std::map<std::string, std::size_t> places_;  // in sessions_, less what was left out
  std::vector<Session> sessions_;
  std::size_t left_out_ = 0;
};

}  // namespace odmr::app
