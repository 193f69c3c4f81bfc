#pragma once

#include "deliver/target.hpp"

namespace odmr::deliver {

/// A Maildir: final delivery. One file per message, written and synced in tmp/, moved to new/, and that synced too,
/// before it counts as taken. Line ends become LF.
class MaildirTarget final : public Target {
 public:
  MaildirTarget(const TargetOptions& options, FileOps& files, Clock& clock);
  ~MaildirTarget() override;

  net::Task<Result<void>> ready() override;
  const Abilities& abilities() const override { return abilities_; }
  net::Task<smtp::Reply> mail(const smtp::MailCommand& mail) override;
  net::Task<smtp::Reply> rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> data(const Handover& handover) override;
  net::Task<bool> content(std::string_view piece) override;
  net::Task<std::vector<smtp::Reply>> finish() override;
  net::Task<> abandon() override;
  net::Task<> close() override;

 private:
  Result<void> prepare();
  Result<void> try_to_write();
  Result<void> write(std::string_view crlf_text);
  Result<void> publish();
  void failed(const Error& error);
  void discard();
  std::string unique_name();

  const TargetOptions& options_;
  FileOps& files_;
  Clock& clock_;
  Abilities abilities_;
  bool is_ready_ = false;
  Descriptor tmp_;
  Descriptor new_;
  Descriptor file_;
  std::string name_;
  bool pending_cr_ = false;
  std::string line_ends_;  // scratch of write()
  std::size_t accepted_ = 0;
  std::uint64_t count_ = 0;
  std::optional<smtp::Reply> trouble_;
};

}  // namespace odmr::deliver
