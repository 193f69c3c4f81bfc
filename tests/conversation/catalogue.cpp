#include "catalogue.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace odmr::conversation {

namespace {

const std::filesystem::path& folder() {
  static const std::filesystem::path path(ODMR_TRANSCRIPTS);
  return path;
}

std::string text_of(const std::filesystem::path& path) {
  const std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + " cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Transcript> read_all() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".txt" && entry.path().stem() != "phrases") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Transcript> all;
  for (const auto& file : files) {
    for (auto& transcript : transcripts_from(file.stem().string(), text_of(file))) all.push_back(std::move(transcript));
  }
  return all;
}

}  // namespace

const std::vector<Transcript>& all_transcripts() {
  static const std::vector<Transcript> all = read_all();
  return all;
}

std::vector<Transcript> transcripts_beside(const std::string& file) {
  const auto path = folder().parent_path() / file;
  return transcripts_from(path.stem().string(), text_of(path));
}

std::vector<Transcript> transcripts_from(const std::string& name, std::string_view text) {
  return read_transcripts(name, text, text_of(folder() / "phrases.txt"));
}

}  // namespace odmr::conversation
