#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "provider/customers.hpp"

namespace odmr::provider {

/// A message for some of whose recipients it is time.
struct Due {
  std::string id;
  std::vector<std::size_t> recipients;  ///< places in the envelope; at least one
};

/// How much waits.
struct Sums {
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;
};

/// Who waits for what, in memory: of each message the recipients that are not done, by their domains.
class WaitingMail {
 public:
  struct Place {
    std::size_t recipient = 0;  ///< in the envelope
    std::string domain;         ///< canonical; empty where nobody can be the customer for it
  };

  void put(const std::string& id, std::uint64_t octets, const std::vector<Place>& places);
  void forget(const std::string& id);
  /// Also when nobody waits for it any more: it is there until it is forgotten.
  bool contains(const std::string& id) const { return messages_.contains(id); }
  /// Whether all that it has of this message is among these places.
  bool agrees(const std::string& id, const std::vector<Place>& places) const;
  /// These recipients wait no more. Whether anybody else does.
  bool done(const std::string& id, const std::vector<std::size_t>& recipients);
  std::vector<std::string> ids() const;

  bool has_mail_for(const Domains& domains) const;
  /// The first message in the order of arrival that came after the one called `after` (empty: of all) and has a
  /// recipient in one of the domains.
  std::optional<Due> next_for(const Domains& domains, const std::string& after) const;
  /// A message for several of the domains counts once for each.
  Sums sums(const Domains& domains) const;

 private:
  struct ByName {
    bool operator()(const std::string* a, const std::string* b) const { return *a < *b; }
  };
  struct Domain {
    std::set<const std::string*, ByName> messages;  // keys of messages_
    std::uint64_t octets = 0;
  };
  using DomainEntry = std::map<std::string, Domain>::value_type;
  struct Waiting {
    std::size_t recipient;
    DomainEntry* domain;
  };
  struct Message {
    std::uint64_t octets = 0;
    std::vector<Waiting> waiting;
  };
  using MessageEntry = std::map<std::string, Message>::value_type;
  void leave(const MessageEntry& message, DomainEntry& domain);

  std::map<std::string, Message> messages_;
  std::map<std::string, Domain> domains_;  // an empty one goes
};

}  // namespace odmr::provider
