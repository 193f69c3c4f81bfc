#include "net/mail_exchangers.hpp"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

namespace odmr::net {

namespace {

constexpr std::size_t k_largest_answer = 65535;

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Result<std::vector<MailExchanger>> parse_mail_exchangers(std::string_view answer) {
  const auto malformed = fail(Errc::malformed, "the name server's answer does not follow the protocol");
  ns_msg message;
  if (answer.size() > k_largest_answer) return malformed;
  if (ns_initparse(octets(answer), static_cast<int>(answer.size()), &message) != 0) return malformed;
  std::vector<MailExchanger> exchangers;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) return malformed;
    if (ns_rr_type(record) != ns_t_mx) continue;  // a CNAME on the way there
    if (ns_rr_rdlen(record) < 3) return malformed;
    std::array<char, NS_MAXDNAME> host{};
    const int length = ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), ns_rr_rdata(record) + 2,
                                          host.data(), host.size());
    if (length < 0) return malformed;
    exchangers.push_back({static_cast<std::uint16_t>(ns_get16(ns_rr_rdata(record))), host.data()});
  }
  return exchangers;
}

Result<std::vector<std::string>> in_order(std::vector<MailExchanger> exchangers, const std::string& domain,
                                          const std::vector<std::uint32_t>& chance) {
  if (exchangers.empty()) return std::vector<std::string>{domain};
  const bool is_null = exchangers.size() == 1 && (exchangers[0].host.empty() || exchangers[0].host == ".");
  if (is_null) return fail(Errc::not_found, domain + " takes no mail (its MX record says so)");
  std::vector<std::size_t> places(exchangers.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  const auto lot = [&](std::size_t place) { return place < chance.size() ? chance[place] : 0; };
  std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(exchangers[a].preference, lot(a)) < std::pair(exchangers[b].preference, lot(b));
  });
  std::vector<std::string> hosts;
  hosts.reserve(places.size());
  for (const auto place : places) hosts.push_back(exchangers[place].host);
  return hosts;
}

Result<std::vector<std::string>> look_up_mail_exchangers(const std::string& domain) {
  struct __res_state state {};
  if (res_ninit(&state) != 0) return fail(Errc::unresolved, domain + ": the resolver cannot be set up");
  std::string answer(k_largest_answer, '\0');
  const int length = res_nquery(&state, domain.c_str(), ns_c_in, ns_t_mx,
                                reinterpret_cast<unsigned char*>(answer.data()), static_cast<int>(answer.size()));
  const int problem = state.res_h_errno;
  res_nclose(&state);
  std::vector<MailExchanger> exchangers;
  if (length < 0 && problem == HOST_NOT_FOUND) return fail(Errc::not_found, domain + ": there is no such domain");
  if (length < 0 && problem != NO_DATA) return fail(Errc::unresolved, domain + ": the name server does not answer");
  if (length >= 0) {
    answer.resize(std::min(static_cast<std::size_t>(length), answer.size()));
    auto parsed = parse_mail_exchangers(answer);
    if (!parsed) return fail(parsed.error().code, domain + ": " + parsed.error().text);
    exchangers = std::move(*parsed);
  }
  std::random_device random;
  std::vector<std::uint32_t> chance(exchangers.size());
  std::generate(chance.begin(), chance.end(), [&random] { return random(); });
  return in_order(std::move(exchangers), domain, chance);
}

}  // namespace odmr::net
