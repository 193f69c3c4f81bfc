#include "app/queue_place.hpp"

#include <algorithm>
#include <utility>

#include "app/host_port.hpp"
#include "app/kept_mail.hpp"
#include "app/places.hpp"
#include "queue/intake.hpp"

namespace odmr::app {

namespace {

ProviderPlace place_of(const config::Table& provider) {
  ProviderPlace place;
  place.port = static_cast<std::uint16_t>(provider.integer("port", 366, {1, 65535}));
  const auto hosts = provider.text_or_texts("host");
  const auto first = hosts && !hosts->empty() ? split_host(hosts->front()) : std::nullopt;
  if (first && first->port) place.port = *first->port;
  // Of a mailbox's port nothing has to be said.
  if (provider.text("protocol", "odmr") != "odmr") place.port = 366;
  if (provider.table("deliver").is_there()) place.deliver_table = "[provider." + provider.name() + ".deliver]";
  return place;
}

}  // namespace

tl::expected<QueuePlace, std::vector<std::string>> find_queue(const std::string& named) {
  const auto file = find_configuration(named);
  if (!file) return tl::unexpected(std::vector<std::string>{file.error().text});
  auto document = config::Document::load(*file);
  if (!document) return tl::unexpected(std::vector<std::string>{document.error().render()});
  const auto root = document->root();
  QueuePlace place;
  place.state_dir = root.path("state_dir").value_or(default_state_dir());
  place.log = read_log(root.table("log"));
  place.can_send = root.table("outbound").has("to");
  for (const auto& provider : root.tables("provider")) {
    place.providers.push_back(provider.name());
    place.places[provider.name()] = place_of(provider);
  }
  for (const auto& fault : document->faults()) {
    if (fault.key == "state_dir") return tl::unexpected(std::vector<std::string>{fault.render()});
  }
  return place;
}

namespace {

bool is_of_a_secret(const std::string& key) {
  const std::string last = key.substr(key.rfind('.') + 1);
  return last.starts_with("password") || last.starts_with("proxy_password") || last.starts_with("client_");
}

}  // namespace

std::vector<std::string> configuration_faults(const std::string& named) {
  const auto file = find_configuration(named);
  auto document = file ? config::Document::load(*file) : tl::unexpected(config::Fault());
  if (!document) return {};  // then nothing else can be told either
  static_cast<void>(read_settings(*document));
  std::vector<std::string> lines;
  for (const auto& fault : document->faults()) {
    if (!is_of_a_secret(fault.key)) lines.push_back(fault.render());
  }
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return lines;
}

Result<queue::Queue> open_queue(const QueuePlace& place, Clock& clock, Log& log) {
  const auto directory = queue::directory_in(place.state_dir);
  const auto there = system_files().open_dir(directory);
  if (!there && there.error().code == Errc::not_found && !place.can_send) {
    return fail(Errc::not_found, "there is no outbound queue: the configuration has no [outbound] with a smart host");
  }
  return queue::Queue::in(directory, queue::QueueOptions(), clock, log);
}

Result<std::optional<queue::Queue>> open_kept_queue(const QueuePlace& place, Clock& clock, Log& log) {
  const auto directory = kept_mail_in(place.state_dir);
  const auto there = system_files().open_dir(directory);
  if (!there && there.error().code == Errc::not_found) return std::nullopt;
  auto opened = queue::Queue::in(directory, queue::QueueOptions(), clock, log);
  if (!opened) return fail(opened.error());
  return std::optional(std::move(*opened));
}

std::uint64_t count_held_in(const std::string& directory) {
  const auto held = system_files().open_dir(directory + "/held");
  const auto names = held ? system_files().list(held->get()) : fail(held.error());
  if (!names) return 0;
  return static_cast<std::uint64_t>(std::count_if(names->begin(), names->end(), spool::Store::is_id));
}

}  // namespace odmr::app
