#include "app/held.hpp"

#include <array>

#include "smtp/path.hpp"

namespace odmr::app {

namespace {

std::string domain_of(const std::string& address) {
  const auto mailbox = smtp::parse_mailbox(address);
  if (!mailbox) return {};
  const auto domain = smtp::canonical_domain(mailbox->domain);
  return domain ? *domain : mailbox->domain;
}

Result<HeldMessage> describe(const spool::Store& store, const std::string& id, const spool::MessageReader& reader) {
  const auto done = store.done(id);
  if (!done) return fail(done.error());
  const auto& envelope = reader.envelope();
  HeldMessage message{id, envelope.arrival, reader.size(), envelope.reverse_path, envelope.attributes, {}};
  for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
    const auto& one = envelope.recipients[i];
    const auto reply = one.attributes.find(provider::k_reply);
    message.recipients.push_back({one.address, domain_of(one.address),
                                  reply == one.attributes.end() ? std::string() : reply->second, done->contains(i)});
  }
  return message;
}

}  // namespace

Result<HeldList> list_held(const std::string& spool, provider::Folder folder) {
  const auto store = provider::open_folder(spool, folder);
  if (!store) return fail(store.error());
  const auto listing = store->list();
  if (!listing) return fail(listing.error());
  HeldList list;
  for (const auto& one : listing->skipped) list.unreadable.push_back(one.name + ": " + one.why);
  for (const auto& id : listing->ids) {
    const auto reader = store->open(id);
    auto message = reader ? describe(*store, id, *reader) : fail(reader.error());
    if (message)
      list.messages.push_back(std::move(*message));
    else if (message.error().code != Errc::not_found)
      list.unreadable.push_back(id + ": " + message.error().text);
  }
  return list;
}

Result<HeldMessage> show_held(const std::string& spool, provider::Folder folder, const std::string& id,
                              const std::function<void(std::string_view)>& see) {
  const auto store = provider::open_folder(spool, folder);
  if (!store) return fail(store.error());
  auto reader = store->open(id);
  if (!reader) return fail(reader.error());
  auto message = describe(*store, id, *reader);
  if (!message) return message;
  std::array<char, 64 * 1024> piece;
  for (;;) {
    const auto count = reader->read(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) return message;
    see(std::string_view(piece.data(), *count));
  }
}

Result<void> remove_held(const std::string& spool, provider::Folder folder, const std::string& id) {
  auto store = provider::open_folder(spool, folder);
  if (!store) return fail(store.error());
  return store->remove(id);
}

}  // namespace odmr::app
