#include "send/verdict.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace odmr::send {

namespace {

// RFC 4954 6: these ask for a login, or for another one, whatever command they answer.
bool is_about_login(int code) {
  return code == 530 || code == 535 || code == 538;
}

// Answers to MAIL that say that the host takes no mail here, from nobody.
bool is_about_host(int code) {
  return code == 500 || code == 502 || code == 503 || code == 454 || is_about_login(code);
}

// RFC 5321 4.5.3.1.10: 452 to a RCPT asks to send the rest in another transaction, and 552 is to be read likewise; both
// are in use for a full mailbox too, which is another matter (X.2.2 of RFC 3463).
bool means_too_many(const smtp::Reply& reply) {
  const auto enhanced = reply.enhanced();
  if (reply.code == 452) return !enhanced || enhanced->subject != 2;
  if (reply.code != 552) return false;
  if (enhanced) return enhanced->subject == 5 && enhanced->detail == 3;
  return lower(reply.joined()).find("recipients") != std::string::npos;
}

class Judge {
 public:
  Judge(const client::Delivery& delivery, const std::vector<std::size_t>& places, const Circumstances& circumstances)
      : delivery_(delivery), places_(places), circumstances_(circumstances) {
    has_accepted_ = std::find(delivery.accepted.begin(), delivery.accepted.end(), true) != delivery.accepted.end();
    mail_is_refused_ = delivery.mail && !delivery.mail->is_positive();
  }

  Verdict verdict() {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (delivery_.recipients[i])
        answered(i, *delivery_.recipients[i]);
      else
        unanswered(i);
    }
    verdict_.line_is_over = delivery_.broken.has_value();
    return std::move(verdict_);
  }

 private:
  void answered(std::size_t i, const smtp::Reply& reply) {
    const std::size_t place = places_[i];
    if (reply.is_positive()) {
      verdict_.attempt.sent.push_back(place);
    } else if (mail_is_refused_ ? is_about_host(reply.code) : is_about_login(reply.code)) {
      complain(reply);
      verdict_.attempt.put_off.push_back({place, reply});
    } else if (has_accepted_ && !delivery_.accepted[i] && means_too_many(reply)) {
      verdict_.again.push_back(place);
    } else if (reply.is_permanent()) {
      verdict_.attempt.failed.push_back({place, reply});
    } else {
      verdict_.attempt.put_off.push_back({place, reply});
    }
  }

  void complain(const smtp::Reply& reply) {
    const Outcome outcome = is_about_login(reply.code) ? Outcome::auth : Outcome::unavailable;
    verdict_.grievance = Grievance{outcome, "the host takes no mail from us: \"" + reply.joined() + "\""};
  }

  // 421 is said about the line and not about the mail. A line that has served and breaks before a word about this
  // message was said had come to its end: many hosts count messages. In all other cases the message may be the reason,
  // and waits while others have their turn; so does one that meets with such an end a second time.
  void unanswered(std::size_t i) {
    const bool was_at_its_end = delivery_.closing || (circumstances_.line_has_served && !delivery_.mail);
    const bool is_blameless = circumstances_.we_closed || (was_at_its_end && !circumstances_.is_second_line);
    if (delivery_.in_doubt) {
      verdict_.attempt.trouble = "the line broke before the answer to the message came, so it may arrive twice";
      if (delivery_.broken) verdict_.attempt.trouble += ": " + delivery_.broken->text;
    } else if (is_blameless) {
      verdict_.again.push_back(places_[i]);
    } else {
      verdict_.attempt.trouble = delivery_.broken ? delivery_.broken->text : "no answer";
    }
  }

  const client::Delivery& delivery_;
  const std::vector<std::size_t>& places_;
  const Circumstances& circumstances_;
  bool has_accepted_ = false;
  bool mail_is_refused_ = false;
  Verdict verdict_;
};

}  // namespace

Verdict judge(const client::Delivery& delivery, const std::vector<std::size_t>& places,
              const Circumstances& circumstances) {
  return Judge(delivery, places, circumstances).verdict();
}

}  // namespace odmr::send
