#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "journal/entry.hpp"

namespace odmr::journal {

/// For which addresses something is open, as connections see it: in memory, so that the book is asked only for those.
/// Mostly there are none. It may say so of more than there are, and never of fewer, as long as it is told of every
/// verdict before that is written.
class OpenAddresses {
 public:
  /// More than so many are not kept: then it is said of each.
  static constexpr std::size_t k_most = 100'000;
  /// So many connections are known at once; of any other nothing is, until it is learned anew.
  static constexpr std::size_t k_most_connections = 16;

  /// What is known of a connection to a provider.
  class View {
   public:
    View(std::string_view provider, std::string connection) : provider_(provider), connection_(std::move(connection)) {}

    /// Of an entry that is open. All of them, and then the first look.
    void add(const Address& address);
    bool may_have(const Address& address);

   private:
    friend class OpenAddresses;
    std::string provider_;
    std::string connection_;
    std::vector<std::size_t> hashes_;
    bool is_sorted_ = false;
    bool is_everything_ = false;  // it may have each
  };

  /// Null: it has to be learned, and put().
  View* view(std::string_view provider, const std::string& connection);
  View& put(View view);

  /// What this makes open: for its own connection what is to be offered again, for others each answer.
  void note(const Verdict& verdict);

 private:
  std::deque<View> views_;
};

}  // namespace odmr::journal
