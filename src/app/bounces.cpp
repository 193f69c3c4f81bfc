#include "app/bounces.hpp"

namespace odmr::app {

Result<void> BounceFolder::keep(const receive::BounceRecord& record) {
  auto store = spool::Store::in(directory_, files_);
  if (!store) return fail(store.error());
  spool::Envelope envelope;
  envelope.arrival = clock_.wall();
  envelope.reverse_path = record.reverse_path.text();
  for (const auto& failed : record.failed) {
    envelope.recipients.push_back(spool::Recipient{failed.recipient.text(), {{"reply", failed.reply.joined()}}});
  }
  auto draft = store->begin(envelope);
  if (!draft) return fail(draft.error());
  auto written = draft->write(record.header);
  if (!written) return written;
  const auto id = draft->commit();
  if (!id) return fail(id.error());
  return {};
}

}  // namespace odmr::app
