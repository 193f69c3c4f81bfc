#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.hpp"

namespace odmr::provider {

struct HandedOver;

/// A customer's call: a connection, from the login on; or one of ours to it, for an ETRN (Push).
struct Call {
  std::uint64_t number = 0;  ///< in the order in which they began, of this process
  std::string customer;      ///< its name
  std::string address;       ///< that it came from
  WallTime began;
  std::uint64_t passed_on = 0;  ///< messages of the customer's own; they are told in `reply`
  bool is_waiting = false;      ///< for mail to come: its ATRN, or its turned line, which is kept

  // Once it is over.
  WallTime ended;
  std::string reply;     ///< to its last ATRN or ETRN; where it said none, what else it did; empty: nothing
  std::string end;       ///< how the turned line ended; empty: it was not turned
  bool is_good = false;  ///< the customer has all its mail, or heard that there is none
  std::uint64_t messages = 0;
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;
  std::uint64_t put_off = 0;  ///< recipients
  std::uint64_t refused = 0;  ///< likewise
};

/// Is told what customers do, on the loop: nothing may wait for a disk there.
class CallListener {
 public:
  virtual ~CallListener() = default;
  /// It has begun, or waits, or waits no more.
  virtual void on_call(const Call& call) = 0;
  virtual void on_call_over(const Call& call) = 0;
  /// `address` as net::counted_as() has it.
  virtual void on_refused_login(const std::string& address) = 0;
};

/// The calls that are under way. For one thread.
class Calls {
 public:
  /// One connection, as long as it lasts; it becomes a call with the login.
  class Line {
   public:
    Line(Calls& calls, std::string address, Clock& clock);
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    void logged_in(const std::string& customer);
    void login_refused();
    /// To ATRN or ETRN, the code in front; of a push that came to nothing, why.
    void answered(const std::string& reply, int code);
    void handed_over(const HandedOver& sum);
    /// So many more messages of the customer's own.
    void passed_on(std::uint64_t messages);

    /// It waits for mail, as long as this lives.
    class Wait {
     public:
      explicit Wait(Line& line) : line_(line) { line_.set_waiting(true); }
      ~Wait() { line_.set_waiting(false); }
      Wait(const Wait&) = delete;
      Wait& operator=(const Wait&) = delete;

     private:
      Line& line_;
    };

   private:
    void set_waiting(bool is_waiting);
    Calls& calls_;
    Clock& clock_;
    std::string address_;
    Call* call_ = nullptr;  // in calls_, once it is one
  };

  void tell(CallListener* listener) { listener_ = listener; }
  /// By number.
  const std::map<std::uint64_t, Call>& under_way() const { return under_way_; }

 private:
  std::map<std::uint64_t, Call> under_way_;
  std::uint64_t last_ = 0;
  CallListener* listener_ = nullptr;
};

}  // namespace odmr::provider
