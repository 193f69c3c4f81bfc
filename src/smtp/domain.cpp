#include <idn2.h>

#include <algorithm>
#include <memory>

#include "base/ascii.hpp"
#include "smtp/host_name.hpp"
#include "smtp/path.hpp"

// In a file of its own, so that a program which compares no domains needs no Libidn2.
namespace odmr::smtp {

namespace {

// The A-labels of a name that has U-labels; whatever libidn2 gives is still to be checked.
Result<std::string> to_a_labels(std::string_view domain) {
  std::uint8_t* found = nullptr;
  const std::string terminated(domain);
  const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(terminated.c_str()), &found,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (status != IDN2_OK) return fail(Errc::malformed, "not a domain: " + std::string(idn2_strerror(status)));
  const std::unique_ptr<std::uint8_t, void (*)(void*)> owner(found, idn2_free);
  return std::string(reinterpret_cast<const char*>(found));
}

}  // namespace

Result<std::string> canonical_domain(std::string_view domain) {
  // Before libidn2, which would stop at a NUL and works in quadratic time on a long label.
  if (!std::all_of(domain.begin(), domain.end(), is_domain_letter)) {
    return fail(Errc::malformed, "a domain has letters, digits, hyphens and dots only");
  }
  if (domain.size() > 4 * k_longest_domain) return fail(Errc::too_long, "the domain is too long");

  std::string out = lower(domain);
  // A name that is ASCII stays as it is: whether it is in the DNS is no question of IDNA's rules, and many that they
  // refuse are ("r3---sn-x", A-labels of emoji).
  if (!is_ascii(domain)) {
    auto converted = to_a_labels(domain);
    if (!converted) return converted;
    out = lower(*converted);
  }
  if (!is_host_name(out)) {
    return fail(out.size() > k_longest_domain ? Errc::too_long : Errc::malformed, "not a domain name");
  }
  return out;
}

}  // namespace odmr::smtp
