#pragma once

#include <memory>
#include <vector>

#include "receive/connection.hpp"
#include "server/mail_session.hpp"

namespace odmr::receive {

/// What becomes of a message whose content has come: who has it already is not served again, the target gets its dot,
/// and what it says is written down before the provider hears of it.
class Handover {
 public:
  /// Both must outlive it.
  Handover(Connection& connection, Message& message) : connection_(connection), message_(message) {}

  net::Task<server::Answer> run(server::ContentEnd end, server::Peer& peer);

 private:
  struct Verdict;

  net::Task<smtp::Reply> reply_to(server::ContentEnd end, server::Peer& peer);
  net::Task<bool> wait_for_twins();
  net::Task<smtp::Reply> come_again();
  net::Task<smtp::Reply> refuse_content(const smtp::Reply& reply);
  Result<void> match();
  net::Task<> ask_for_withheld();
  net::Task<> pass_copy();

  net::Task<smtp::Reply> hand_over(server::Peer& peer);
  net::Task<Result<void>> intend();
  net::Task<> withdraw();
  net::Task<smtp::Reply> give_up_for(const Error& trouble);
  net::Task<smtp::Reply> settle();
  net::Task<Result<std::unique_ptr<Shelf::Place>>> put_on_shelf();
  net::Task<smtp::Reply> write_down(Verdict& verdict, Shelf::Place* place);
  net::Task<smtp::Reply> close_collected(journal::Origin collected, smtp::Reply reply);
  Verdict verdict(bool keeps_here);
  void note_copies(journal::Verdict& entries) const;
  std::vector<smtp::Reply> each_answer(bool keeps_here) const;
  Result<void> keep_bounces();
  void count(const Verdict& verdict);

  Connection& connection_;
  Message& message_;
  std::vector<smtp::Reply> each_;  // of the answer, where the provider wants one for each
};

}  // namespace odmr::receive
