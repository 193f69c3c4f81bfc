// Configuration files: any text gives values or faults, each with its place.

#include "config/document.hpp"
#include "config/secret.hpp"
#include "input.hpp"

using namespace odmr;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto document = config::Document::parse(fuzz::text(data, size), "fuzz.toml");
  if (!document) {
    fuzz::require(!document.error().text.empty(), "a syntax error says what it is");
    return 0;
  }
  const auto root = document->root();
  (void)root.duration("d");
  (void)root.size("s");
  (void)root.integer("i", {0, 10});
  (void)root.texts("l");
  (void)root.command("c");
  (void)config::read_secret_source(root);
  for (const auto& table : root.tables("t")) (void)table.text("k");
  for (const auto& fault : document->faults()) fuzz::require(!fault.render().empty(), "a fault has words");
  return 0;
}
