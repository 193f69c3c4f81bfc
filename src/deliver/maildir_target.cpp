#include "deliver/maildir_target.hpp"

#include <unistd.h>

#include <algorithm>

namespace odmr::deliver {

namespace {

using net::Task;
using smtp::Reply;

// What may stand in a file's name in a Maildir: ':' begins the flags, '/' would be a directory.
std::string host_part(const std::string& hostname) {
  std::string out;
  for (const char c : hostname) {
    if (c == '/')
      out += "\\057";
    else if (c == ':')
      out += "\\072";
    else
      out += c;
  }
  return out;
}

}  // namespace

MaildirTarget::MaildirTarget(const TargetOptions& options, FileOps& files, Clock& clock)
    : options_(options), files_(files), clock_(clock) {
  abilities_.smtputf8 = true;
}

MaildirTarget::~MaildirTarget() {
  discard();
}

Result<void> MaildirTarget::prepare() {
  const std::string& top = options_.directory;
  for (const auto& directory : {top, top + "/tmp", top + "/new", top + "/cur"}) {
    auto made = files_.make_dir(directory, 0700);
    if (!made) return made;
  }
  auto tmp = files_.open_dir(top + "/tmp");
  if (!tmp) return fail(tmp.error());
  auto fresh = files_.open_dir(top + "/new");
  if (!fresh) return fail(fresh.error());
  tmp_ = std::move(*tmp);
  new_ = std::move(*fresh);
  return {};
}

// A directory of another user opens for us all the same: only a file tells whether one can be made. It has no name, so
// that no reader sees it.
Result<void> MaildirTarget::try_to_write() {
  for (const char* below : {"/tmp", "/new"}) {
    const auto file = files_.nameless(options_.directory + below);
    if (!file) return fail(file.error());
  }
  return {};
}

Task<Result<void>> MaildirTarget::ready() {
  if (is_ready_) co_return Result<void>();
  auto done = prepare();
  if (done) done = try_to_write();
  is_ready_ = done.has_value();
  if (!done) done.error().cause = done.error().code == Errc::no_space ? Cause::disk_full : Cause::maildir_unusable;
  co_return done;
}

Task<Reply> MaildirTarget::mail(const smtp::MailCommand& /*mail*/) {
  trouble_.reset();
  accepted_ = 0;
  co_return Reply(250, "2.1.0 OK");
}

Task<Reply> MaildirTarget::rcpt(const smtp::RcptCommand& /*rcpt*/) {
  ++accepted_;
  co_return Reply(250, "2.1.5 OK");
}

std::string MaildirTarget::unique_name() {
  const auto since = clock_.wall().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(since - seconds);
  return std::to_string(seconds.count()) + ".M" + std::to_string(micros.count()) + "P" + std::to_string(getpid()) +
         "Q" + std::to_string(++count_) + "." + host_part(options_.hostname);
}

void MaildirTarget::failed(const Error& error) {
  trouble_ = error.code == Errc::no_space ? Reply(452, "4.3.1 no room on the disk")
                                          : Reply(451, "4.3.0 the message cannot be written here");
  discard();
}

void MaildirTarget::discard() {
  if (!file_.is_open()) return;
  file_.reset();
  // What cannot be unlinked stays in tmp/, where no reader looks and mail programs clean up.
  (void)files_.unlink(tmp_.get(), name_);
}

Task<std::optional<Reply>> MaildirTarget::data(const Handover& handover) {
  name_ = unique_name();
  auto file = files_.create(tmp_.get(), name_, 0600);
  if (!file) {
    failed(file.error());
    co_return trouble_;
  }
  file_ = std::move(*file);
  pending_cr_ = false;
  // RFC 5321 4.4: final delivery records the reverse-path, above all trace.
  std::string head = "Return-Path: <" + handover.reverse_path.text() + ">\r\n";
  for (const auto& recipient : handover.recipients) head += "Delivered-To: " + recipient.text() + "\r\n";
  const auto written = write(head + handover.trace);
  if (!written) {
    failed(written.error());
    co_return trouble_;
  }
  co_return std::nullopt;
}

// CRLF becomes LF; a CR that ends a piece waits for the next one to tell.
Result<void> MaildirTarget::write(std::string_view crlf_text) {
  line_ends_.clear();
  if (pending_cr_ && !crlf_text.empty() && crlf_text.front() != '\n') line_ends_ += '\r';
  if (!crlf_text.empty()) pending_cr_ = false;
  while (!crlf_text.empty()) {
    const auto cr = std::min(crlf_text.find('\r'), crlf_text.size());
    line_ends_ += crlf_text.substr(0, cr);
    crlf_text.remove_prefix(cr);
    if (crlf_text.size() == 1)
      pending_cr_ = true;
    else if (!crlf_text.empty() && crlf_text[1] != '\n')
      line_ends_ += '\r';
    crlf_text.remove_prefix(std::min<std::size_t>(1, crlf_text.size()));
  }
  return files_.write(file_.get(), line_ends_);
}

Task<bool> MaildirTarget::content(std::string_view piece) {
  if (trouble_) co_return false;
  const auto written = write(piece);
  if (!written) failed(written.error());
  co_return written.has_value();
}

Result<void> MaildirTarget::publish() {
  auto synced = files_.sync(file_.get());
  if (!synced) return synced;
  auto closed = files_.close(std::move(file_));
  if (!closed) {
    (void)files_.unlink(tmp_.get(), name_);
    return closed;
  }
  auto renamed = files_.rename(tmp_.get(), name_, new_.get(), name_);
  if (!renamed) {
    (void)files_.unlink(tmp_.get(), name_);
    return renamed;
  }
  synced = files_.sync(new_.get());
  // Not durable, so not taken: the provider will offer it again, and it must not be here twice.
  if (!synced) (void)files_.unlink(new_.get(), name_);
  return synced;
}

Task<std::vector<Reply>> MaildirTarget::finish() {
  if (!trouble_) {
    const auto published = publish();
    if (!published) failed(published.error());
  }
  co_return std::vector<Reply>(accepted_, trouble_.value_or(Reply(250, "2.0.0 delivered")));
}

Task<> MaildirTarget::abandon() {
  discard();
  co_return;
}

Task<> MaildirTarget::close() {
  co_return;
}

}  // namespace odmr::deliver
