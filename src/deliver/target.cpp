#include "deliver/target.hpp"

#include "deliver/maildir_target.hpp"
#include "deliver/smtp_target.hpp"

namespace odmr::deliver {

std::unique_ptr<Target> make_target(const TargetOptions& options, net::Network& network, FileOps& files, Log& log,
                                    Stop& stop) {
  if (options.kind == TargetOptions::Kind::maildir) {
    return std::make_unique<MaildirTarget>(options, files, network.clock());
  }
  return std::make_unique<SmtpTarget>(options, network, log, stop);
}

smtp::Reply passed_on(smtp::Reply reply) {
  if (reply.code == 421) reply.code = 451;
  if (reply.lines.empty()) reply.lines.emplace_back();
  if (reply.code >= 300 && reply.code < 400) reply.code = 451;  // no answer to anything that is asked here
  if (!reply.enhanced()) {
    const std::string code = std::to_string(reply.code / 100) + ".0.0 ";
    for (auto& line : reply.lines) line.insert(0, code);
  }
  return reply;
}

}  // namespace odmr::deliver
