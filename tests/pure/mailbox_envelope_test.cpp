#include "mail/mailbox_envelope.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "mail/fields.hpp"

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

namespace {

// Ours: example.org, example.com, bücher.example. Providers, senders and lists are under other names.
MailboxPolicy policy_with(const std::vector<std::string>& sources = {}) {
  MailboxPolicy policy;
  policy.domains = {"example.org", "example.com", "xn--bcher-kva.example"};
  policy.catch_all = {{"office", "example.org"}};
  policy.own_hosts = {"mx.example.org"};
  for (const auto& one : sources) {
    const auto source = parse_envelope_source(one);
    REQUIRE(source);
    policy.envelope.push_back(*source);
  }
  return policy;
}

std::string listed(const std::vector<smtp::Mailbox>& mailboxes) {
  std::string out;
  for (const auto& one : mailboxes) out += (out.empty() ? "" : " ") + one.text();
  return out;
}

// "SENDER -> RECIPIENT RECIPIENT | HOW"; a null sender is <>, and "none" where there is no Return-Path.
std::string said(const MailboxEnvelope& envelope) {
  std::string sender = envelope.has_return_path ? "<>" : "none";
  if (!envelope.reverse_path.is_null) sender = envelope.reverse_path.text();
  return sender + " -> " + listed(envelope.recipients) + " | " + describe(envelope);
}

std::string with_crlf(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? "\r\n"s : std::string(1, c);
  return out;
}

struct Case {
  std::string what;
  std::vector<std::string> sources;
  std::string header;
  std::string expected;
};

void check_all(const std::vector<Case>& cases) {
  for (const auto& one : cases) {
    CAPTURE(one.what);
    const auto policy = policy_with(one.sources);
    CHECK(said(mailbox_envelope(one.header, policy)) == one.expected);
    CHECK(said(mailbox_envelope(with_crlf(one.header), policy)) == one.expected);
    CHECK(said(mailbox_envelope(one.header + "\nTo: body@example.org\n", policy)) == one.expected);
  }
}

const std::string k_office = " -> office@example.org | catch-all: ";
const std::string k_list = k_office + "list mail whose recipient is not in it";
const std::string k_not_ours = k_office + "names nobody in our domains";

// What a sender writes below all that the provider wrote.
const std::string k_letter =
    "Date: Sat, 31 Jan 2026 10:00:00 +0000\nFrom: Bob <bob@home.example>\nTo: Somebody <carl@example.org>\n"
    "Subject: hello\nMessage-ID: <1@home.example>\n";

}  // namespace

TEST_CASE("the shapes in which hosters name the recipient", "[mailbox]") {
  check_all({
      {"Postfix, virtual mailboxes in one box",
       {"X-Original-To"},
       "Return-Path: <bob@home.example>\nX-Original-To: anna@example.org\nDelivered-To: box17@hoster.example\n"
       "Received: from out.home.example (out.home.example [192.0.2.1])\n"
       "\tby mx.hoster.example (Postfix) with ESMTPS id 4XyZ\n\tfor <anna@example.org>; Sat, 31 Jan 2026 10:00:00 "
       "+0000 (UTC)\n" +
           k_letter,
       "bob@home.example -> anna@example.org | X-Original-To"},
      {"Plesk, Postfix: both fields",
       {"Delivered-To"},
       "Return-Path: <bob@home.example>\nX-Original-To: info@example.org\nDelivered-To: anna@example.org\n"
       "Received: from out.home.example (unknown [192.0.2.1])\n\tby plesk.hoster.example (Postfix) with ESMTPS id "
       "ABC\n\tfor <info@example.org>; Sat, 31 Jan 2026 10:00:00 +0100 (CET)\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"Plesk with qmail: the number of the domain in front",
       {"Delivered-To 7-"},
       "Return-Path: <bob@home.example>\nDelivered-To: 7-anna@example.org\nReceived: (qmail 4711 invoked from "
       "network); 31 Jan 2026 11:00:00 +0100\nReceived: from out.home.example (192.0.2.1)\n  by hoster.example with "
       "SMTP; 31 Jan 2026 11:00:00 +0100\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"qmail, virtual domain in one mailbox",
       {"Delivered-To mbox-"},
       "Return-Path: <bob@home.example>\nDelivered-To: mbox-anna@example.org\nReceived: (qmail 4711 invoked by alias); "
       "31 Jan 2026 10:00:00 -0000\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"qmail, the prefix in other letters, and an address that begins with it twice",
       {"Delivered-To mbox-"},
       "Delivered-To: MBOX-mbox-anna@example.org\n" + k_letter,
       "none -> mbox-anna@example.org | Delivered-To"},
      {"qmail, no prefix there: nothing is taken off",
       {"Delivered-To mbox-"},
       "Delivered-To: anna@example.org\n" + k_letter,
       "none -> anna@example.org | Delivered-To"},
      {"qmail, a bounce of a bounce",
       {"Delivered-To"},
       "Return-Path: <#@[]>\nDelivered-To: anna@example.org\n" + k_letter,
       "none -> anna@example.org | Delivered-To"},
      {"cPanel, Exim: several recipients of one delivery",
       {"Envelope-to"},
       "Return-path: <bob@home.example>\nEnvelope-to: anna@example.org,\n bert@example.com\nDelivery-date: Sat, 31 Jan "
       "2026 10:00:01 +0000\nReceived: from out.home.example ([192.0.2.1]:4711)\n\tby cp.hoster.example with esmtps "
       " (TLS1.3) tls TLS_AES_256_GCM_SHA384\n\t(Exim 4.98)\n\t(envelope-from <bob@home.example>)\n\tid "
       "1tdABC-0001\n\tfor anna@example.org;\n\tSat, 31 Jan 2026 10:00:01 +0000\n" +
           k_letter,
       "bob@home.example -> anna@example.org bert@example.com | Envelope-to"},
      {"Exim, the for clause without brackets",
       {"Received 2"},
       "Received: from director by cp.hoster.example with LMTP id x; Sat, 31 Jan 2026 10:00:02 +0000\n"
       "Received: from out.home.example ([192.0.2.1] helo=out.home.example)\n\tby cp.hoster.example with esmtp (Exim "
       "4.98)\n\t(envelope-from <bob@home.example>)\n\tid 1tdABC\n\tfor anna@example.org; Sat, 31 Jan 2026 10:00:01 "
       "+0000\n" +
           k_letter,
       "none -> anna@example.org | Received"},
      {"Strato: the for clause of the second Received",
       {"Received 2"},
       "Return-Path: <bob@home.example>\nX-RZG-CLASS-ID: mi00\nReceived: from smtpin.rzone.de by mailin.rzone.de "
       "(RZmta 52.1 OK)\n    with LMTP id x0000; Sat, 31 Jan 2026 11:00:02 +0100 (CET)\n"
       "Received: from out.home.example ([192.0.2.1])\n    by smtpin.rzone.de (RZmta 52.1 OK)\n    with ESMTPS id "
       "y0000 (using TLSv1.3)\n    for <Anna@Example.ORG>;\n    Sat, 31 Jan 2026 11:00:01 +0100 (CET)\n" +
           k_letter,
       "bob@home.example -> Anna@example.org | Received"},
      {"Strato and others: X-Envelope-To",
       {"X-Envelope-To", "Envelope-To", "Delivered-To"},
       "Return-Path: <bob@home.example>\nX-Envelope-To: <anna@example.org>\nX-Envelope-From: <bob@home.example>\n"
       "Delivered-To: box17@hoster.example\n" +
           k_letter,
       "bob@home.example -> anna@example.org | X-Envelope-To"},
      {"one X-Envelope-To for each recipient",
       {"X-Envelope-To"},
       "Return-Path: <bob@home.example>\nX-Envelope-To: <anna@example.org>\nX-Envelope-To: <bert@example.org>\n"
       "X-Envelope-To: <ANNA@example.org>\nReceived: by hoster.example; Sat, 31 Jan 2026 10:00:00 +0000\n" +
           k_letter,
       "bob@home.example -> anna@example.org bert@example.org | X-Envelope-To"},
      {"IONOS, 1&1",
       {"Envelope-To"},
       "Return-Path: <SRS0=OVdk=H5=home.example=bob@srs2.kundenserver.de>\nReceived: from out.home.example "
       "([192.0.2.1]) by mx.kundenserver.de (mxeue110\n [217.72.192.67]) with ESMTPS (Nemesis) id 1MK5IG-1\n for "
       "<anna@example.org>; Sat, 31 Jan 2026 11:00:00 +0100\nEnvelope-To: <anna@example.org>\nX-UI-Filterresults: "
       "notjunk:1;V03:K0\n" +
           k_letter,
       "SRS0=OVdk=H5=home.example=bob@srs2.kundenserver.de -> anna@example.org | Envelope-To"},
      {"IONOS, the for clause",
       {"Received"},
       "Return-Path: <bob@home.example>\nReceived: from out.home.example ([192.0.2.1]) by mx.kundenserver.de "
       "(mxeue110\n"
       " [217.72.192.67]) with ESMTPS (Nemesis) id 1MK5IG-1\n for <anna@example.org>; Sat, 31 Jan 2026 11:00:00 "
       "+0100\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Received"},
      {"GMX of old: words in front",
       {"Delivered-To GMX delivery to "},
       "Return-Path: <bob@home.example>\nX-Flags: 0000\nDelivered-To: GMX delivery to anna@example.org\nReceived: "
       "(qmail invoked by alias); 31 Jan 2026 10:00:00 -0000\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"Hetzner: Exim in front of Dovecot",
       {"Envelope-to", "Delivered-To"},
       "Return-Path: <bob@home.example>\nDelivered-To: box17@hoster.example\nReceived: from mail.your-server.de\n\tby "
       "dedi with LMTP\n\tid xyz\n\t(envelope-from <bob@home.example>)\n\tfor <box17@hoster.example>; Sat, 31 Jan 2026 "
       "11:00:00 +0100\nEnvelope-to: anna@example.org\nDelivery-date: Sat, 31 Jan 2026 11:00:00 +0100\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Envelope-to"},
      {"OVH",
       {"Delivered-To"},
       "Return-Path: <bob@home.example>\nDelivered-To: anna@example.org\nReceived: from localhost (HELO queue) "
       "(127.0.0.1)\n\tby localhost with SMTP; 31 Jan 2026 12:00:00 +0200\nReceived: from unknown (HELO output) "
       "(10.108.0.1)\n  by 192.0.2.9 with AES256-GCM-SHA384 encrypted SMTP; 31 Jan 2026 10:00:00 -0000\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"Gandi: Dovecot behind Postfix",
       {"X-Original-To", "Delivered-To"},
       "Return-Path: <bob@home.example>\nDelivered-To: box@hoster.example\nReceived: from spool.mail.gandi.net "
       "([10.0.21.1])\n\tby store with LMTP id a\n\tfor <box@hoster.example>; Sat, 31 Jan 2026 10:00:01 +0000\n"
       "X-Original-To: anna@example.org\nDelivered-To: anna@example.org\nReceived: from out.home.example\n\tby "
       "spool.mail.gandi.net (Postfix) with ESMTPS id 1\n\tfor <anna@example.org>; Sat, 31 Jan 2026 10:00:00 +0000\n" +
           k_letter,
       "bob@home.example -> anna@example.org | X-Original-To"},
      {"the second Delivered-To, for such a provider",
       {"Delivered-To 2"},
       "Delivered-To: box@hoster.example\nReceived: from spool by store with LMTP; Sat, 31 Jan 2026 10:00:01 +0000\n"
       "Delivered-To: anna@example.org\n" +
           k_letter,
       "none -> anna@example.org | Delivered-To"},
      {"Fastmail",
       {"X-Delivered-to"},
       "Return-Path: <bob@home.example>\nReceived: from compute4.internal (compute4.nyi.internal [10.202.2.44])\n\t by "
       "store (Cyrus 3.0) with LMTPA;\n\t Sat, 31 Jan 2026 05:00:00 -0500\nX-Sieve: CMU Sieve 2.4\nX-Resolved-to: "
       "box@hoster.example\nX-Delivered-to: anna@example.org\nX-Mail-from: bob@home.example\nReceived: from mx4 "
       "([10.202.2.203])\n  by compute4.internal (LMTPProxy); Sat, 31 Jan 2026 05:00:00 -0500\n" +
           k_letter,
       "bob@home.example -> anna@example.org | X-Delivered-to"},
      {"Zoho",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived-SPF: pass (zohomail.com: domain of home.example designates 192.0.2.1 "
       "as permitted sender) client-ip=192.0.2.1; envelope-from=bob@home.example; helo=out.home.example;\n"
       "Return-Path: <bob@home.example>\nReceived: from out.home.example (out.home.example [192.0.2.1]) by mx.zohomail"
       ".com\n\twith SMTPS id 1769853600000; Sat, 31 Jan 2026 02:00:00 -0800 (PST)\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"mailbox.org: Dovecot LMTP, then Postfix",
       {"Delivered-To"},
       "Return-Path: <bob@home.example>\nDelivered-To: anna@example.org\nReceived: from director-09.mailbox.org "
       "([10.0.0.1])\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\n\tby dobby27a with LMTPS id "
       "AbC\n\t(envelope-from <bob@home.example>)\n\tfor <anna@example.org>; Sat, 31 Jan 2026 11:00:00 +0100\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"Gmail",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: by 2002:a05:6358:1234:b0:1d0:5678:9abc with SMTP id x1csp123;\n "
       "Sat, 31 Jan 2026 02:00:01 -0800 (PST)\nX-Received: by 2002:a17:902:e5c4:: with SMTP id x1.1769853601;\n"
       "ARC-Seal: i=1; a=rsa-sha256; t=1769853601; cv=none; d=google.com\nReturn-Path: <bob@home.example>\n"
       "Received: from out.home.example (out.home.example. [192.0.2.1])\n        by mx.google.com with ESMTPS id "
       "y2si12\n        for <info@example.org>\n        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 "
       "bits=256/256);\n        Sat, 31 Jan 2026 02:00:01 -0800 (PST)\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
      {"Gmail, by the for clause",
       {"Received 2"},
       "Delivered-To: box@hoster.example\nReceived: by 2002:a05:6358::1 with SMTP id x1csp123; Sat, 31 Jan 2026 "
       "02:00:01 -0800 (PST)\nReturn-Path: <bob@home.example>\nReceived: from out.home.example (out.home.example. "
       "[192.0.2.1])\n        by mx.google.com with ESMTPS id y2si12\n        for <info@example.org>\n        "
       "(version=TLS1_3);\n        Sat, 31 Jan 2026 02:00:01 -0800 (PST)\n" +
           k_letter,
       "bob@home.example -> info@example.org | Received"},
      {"Exchange Online has no envelope field: To it is",
       {},
       "Received: from AM0PR01.eurprd01.prod.exchangelabs.com (2603:10a6:208::1) by\n DB9PR01.eurprd01.prod."
       "exchangelabs.com with HTTPS; Sat, 31 Jan 2026 10:00:01\n +0000\nReceived: from out.home.example (192.0.2.1) by "
       "AM5EUR03FT001.mail.protection.outlook.com\n (10.152.16.1) with Microsoft SMTP Server (version=TLS1_3) id "
       "15.20.1;\n Sat, 31 Jan 2026 10:00:00 +0000\nFrom: Bob <bob@home.example>\nTo: \"anna@example.org\" "
       "<anna@example.org>\nMessage-ID: <1@home.example>\nReturn-Path: bob@home.example\n"
       "X-MS-Exchange-Organization-AuthSource: AM5EUR03FT001\n",
       "bob@home.example -> anna@example.org | To, Cc, Bcc"},
      {"MDaemon",
       {"X-MDRcpt-To", "X-Rcpt-To"},
       "X-MDAV-Processed: mail.hoster.example, Sat, 31 Jan 2026 11:00:00 +0100\nReceived: from out.home.example by "
       "mail.hoster.example (MDaemon PRO v24.0)\n\twith ESMTPS id md5000.msg; Sat, 31 Jan 2026 11:00:00 +0100\n"
       "X-MDRcpt-To: anna@example.org\nX-Return-Path: bob@home.example\n" +
           k_letter,
       "none -> anna@example.org | X-MDRcpt-To"},
      {"sendmail: for clause, one hop",
       {"Received"},
       "Return-Path: <bob@home.example>\nReceived: from out.home.example (out.home.example [192.0.2.1])\n\tby "
       "hoster.example (8.18.1/8.18.1) with ESMTPS id 60VA00\n\t(version=TLSv1.3 verify=NO)\n\tfor "
       "<anna@example.org>; Sat, 31 Jan 2026 10:00:00 GMT\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Received"},
      {"sendmail with several recipients says no for: the next source",
       {"Received", "X-Rcpt-To"},
       "Received: from out.home.example by hoster.example (8.18.1) with ESMTPS id 60VA00; Sat, 31 Jan 2026 10:00:00 "
       "GMT\nX-Rcpt-To: bert@example.org\n" +
           k_letter,
       "none -> bert@example.org | X-Rcpt-To"},
      {"and without one, To",
       {"Received"},
       "Received: from out.home.example by hoster.example (8.18.1) with ESMTPS id 60VA00; Sat, 31 Jan 2026 10:00:00 "
       "GMT\n" +
           k_letter,
       "none -> carl@example.org | To, Cc, Bcc"},
      {"Kerio",
       {"X-Envelope-To"},
       "X-Envelope-To: \"anna@example.org\" <anna@example.org>\nX-Spam-Status: No, hits=0.0\n" + k_letter,
       "none -> anna@example.org | X-Envelope-To"},
      {"a bounce: its null sender stays",
       {"Delivered-To"},
       "Return-Path: <>\nDelivered-To: anna@example.org\nReceived: by mx.home.example (Postfix); Sat, 31 Jan 2026 "
       "10:00:00 +0000\nFrom: MAILER-DAEMON@mx.home.example\nTo: anna@example.org\nAuto-Submitted: auto-replied\n",
       "<> -> anna@example.org | Delivered-To"},
      {"a mailbox file's line on top, as some servers give it",
       {"Delivered-To"},
       ">From bob@home.example Sat Jan 31 10:00:00 2026\nReturn-Path: <bob@home.example>\nDelivered-To: "
       "anna@example.org\n" +
           k_letter,
       "bob@home.example -> anna@example.org | Delivered-To"},
  });
}

TEST_CASE("an envelope field is believed, and nothing instead of it", "[mailbox]") {
  check_all({
      {"a blind copy: the envelope knows",
       {"X-Envelope-To"},
       "X-Envelope-To: bert@example.org\nTo: anna@example.org\n",
       "none -> bert@example.org | X-Envelope-To"},
      {"list mail: the envelope knows",
       {"Delivered-To"},
       "Return-Path: <talk-bounces+anna=example.org@lists.example>\nDelivered-To: anna@example.org\nTo: "
       "talk@lists.example\nPrecedence: list\nList-Id: Talk <talk.lists.example>\nList-Post: "
       "<mailto:talk@lists.example>\n",
       "talk-bounces+anna=example.org@lists.example -> anna@example.org | Delivered-To"},
      {"only somebody else's domain: no guess from To",
       {"Delivered-To"},
       "Delivered-To: box17@hoster.example\nTo: anna@example.org\n",
       "none" + k_not_ours + " (Delivered-To)"},
      {"a name without a domain is nobody's",
       {"Delivered-To"},
       "Delivered-To: box17\nTo: anna@example.org\n",
       "none" + k_not_ours + " (Delivered-To)"},
      {"ours and others: ours",
       {"X-Envelope-To"},
       "X-Envelope-To: x@hoster.example, anna@EXAMPLE.org, y@home.example\n",
       "none -> anna@example.org | X-Envelope-To"},
      {"a source that names nobody of ours ends the search",
       {"X-Original-To", "Delivered-To"},
       "X-Original-To: x@home.example\nDelivered-To: anna@example.org\n",
       "none" + k_not_ours + " (X-Original-To)"},
      {"an empty one",
       {"X-Envelope-To"},
       "X-Envelope-To:\nTo: anna@example.org\n",
       "none" + k_office + "cannot be read (X-Envelope-To)"},
      {"words",
       {"Delivered-To"},
       "Delivered-To: mailing list talk@example.org\nTo: anna@example.org\n",
       "none" + k_office + "cannot be read (Delivered-To)"},
      {"a null recipient",
       {"Envelope-To"},
       "Envelope-To: <>\nTo: anna@example.org\n",
       "none" + k_office + "cannot be read (Envelope-To)"},
      {"the sender's own field below the provider's",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: from evil.example by hoster.example; Sat, 31 Jan 2026 10:00:00 "
       "+0000\nDelivered-To: bert@example.org\nDelivered-To: carl@example.org\nTo: carl@example.org\n",
       "none -> anna@example.org | Delivered-To"},
      {"the newest of a chain of deliveries: anna's mail is passed on to bert",
       {"Delivered-To"},
       "Delivered-To: bert@example.org\nReceived: by hoster.example (Postfix); Sat, 31 Jan 2026 10:00:01 +0000\n"
       "Delivered-To: anna@example.org\nReceived: from out.home.example by hoster.example; Sat, 31 Jan 2026 10:00:00 "
       "+0000\nTo: anna@example.org\n",
       "none -> bert@example.org | Delivered-To"},
      {"the name in HELO cannot be a for clause",
       {"Received"},
       "Received: from for (HELO for <bert@example.org>) (192.0.2.1) by hoster.example with SMTP\n for "
       "<anna@example.org>; Sat, 31 Jan 2026 10:00:00 +0000\n",
       "none -> anna@example.org | Received"},
      {"nor with a semicolon, or a keyword",
       {"Received"},
       "Received: from by;for (x [192.0.2.1])\n by hoster.example with SMTP for <anna@example.org>; Sat, 31 Jan 2026 "
       "10:00:00 +0000\n",
       "none -> anna@example.org | Received"},
      {"nor an open comment: the clause cannot be told, so To",
       {"Received"},
       "Received: from x (for <bert@example.org> by hoster.example for <bert@example.org>; Sat, 31 Jan 2026\nTo: "
       "anna@example.org\n",
       "none -> anna@example.org | To, Cc, Bcc"},
      {"several in one for clause",
       {"Received"},
       "Received: by hoster.example for <anna@example.org>, <bert@example.org>; Sat, 31 Jan 2026 10:00:00 +0000\n",
       "none -> anna@example.org bert@example.org | Received"},
      {"a for clause with a route, and a quoted local part",
       {"Received"},
       "Received: by hoster.example for <@relay.example:\"an na\"@example.org>; Sat, 31 Jan 2026 10:00:00 +0000\n",
       "none -> \"an na\"@example.org | Received"},
      {"qmail's prefix in a for clause",
       {"Received mbox-"},
       "Received: by hoster.example for <mbox-anna@example.org>; Sat, 31 Jan 2026 10:00:00 +0000\n",
       "none -> anna@example.org | Received"},
      {"not as many Received as that",
       {"Received 3"},
       "Received: by a.example for <bert@example.org>; x\nReceived: by b.example for <bert@example.org>; x\nTo: "
       "anna@example.org\n",
       "none -> anna@example.org | To, Cc, Bcc"},
      {"an address that a mail server would route onwards is none of ours",
       {"Delivered-To"},
       "Delivered-To: victim%home.example@example.org, home.example!victim@example.org, "
       "\"victim@home.example\"@example.org\n",
       "none" + k_not_ours + " (Delivered-To)"},
      {"an IDN in either form, once",
       {"X-Envelope-To"},
       "X-Envelope-To: anna@Bücher.example, anna@XN--bcher-kva.example, anna@bücher.example\n",
       "none -> anna@xn--bcher-kva.example | X-Envelope-To"},
      {"needless quotes, and letters of any size, once",
       {"X-Envelope-To"},
       "X-Envelope-To: \"anna\"@example.org, Anna@example.org, anna@example.org, \"\\anna\"@example.org\n",
       "none -> anna@example.org | X-Envelope-To"},
  });
}

TEST_CASE("without an envelope field To, Cc and Bcc name our recipients", "[mailbox]") {
  const auto by_to = " | To, Cc, Bcc"s;
  check_all({
      {"one", {}, "To: anna@example.org\n", "none -> anna@example.org" + by_to},
      {"several, each once, in order; others' domains are none of ours",
       {},
       "To: Anna <anna@example.org>, bob@home.example,\n\tBert <bert@EXAMPLE.COM>\nCc: \"Carl, the other\" "
       "<carl@example.org>, ANNA@example.org\nBcc: dora@example.org\n",
       "none -> anna@example.org bert@example.com carl@example.org dora@example.org" + by_to},
      {"several To fields, against RFC 5322 3.6",
       {},
       "To: anna@example.org\nTo: bert@example.org\n",
       "none -> anna@example.org bert@example.org" + by_to},
      {"a blind copy",
       {},
       "Return-Path: <bob@home.example>\nTo: carl@home.example\n",
       "bob@home.example" + k_not_ours + " (To, Cc, Bcc)"},
      {"nobody disclosed", {}, "To: undisclosed-recipients:;\n", "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"nobody disclosed, badly written",
       {},
       "To: Undisclosed recipients\n",
       "none" + k_office + "cannot be read (To, Cc, Bcc)"},
      {"no address field at all", {}, "Subject: x\n", "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"an empty To, and a null one beside a Cc",
       {},
       "To: \"\" <>\nCc: anna@example.org\n",
       "none -> anna@example.org" + by_to},
      {"an empty header", {}, "", "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"groups",
       {},
       "To: Friends: anna@example.org, Bob <bob@home.example>;, Foes:;\nCc: bert@example.org\n",
       "none -> anna@example.org bert@example.org" + by_to},
      {"comments, and addresses in them",
       {},
       "To: (not bert@example.org (nor, <carl@example.org>)) anna(the one)@(here)example.org (dora@example.org)\n",
       "none -> anna@example.org" + by_to},
      {"addresses in names are no recipients",
       {},
       "To: \"bert@example.org\" <anna@example.org>, \"<carl@example.org>,\" <bob@home.example>\n",
       "none -> anna@example.org" + by_to},
      {"addresses in encoded words are no recipients",
       {},
       "To: =?utf-8?q?<bert@example.org>,_?= <anna@example.org>, =?utf-8?b?YmVydEBleGFtcGxlLm9yZw==?= "
       "<bob@home.example>\n",
       "none -> anna@example.org" + by_to},
      {"a route", {}, "To: <@relay.example,@b.example:anna@example.org>\n", "none -> anna@example.org" + by_to},
      {"an address literal is no domain of ours",
       {},
       "To: anna@[192.0.2.1], <anna@[IPv6:2001:db8::1]>\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"domains that only begin or end like ours",
       {},
       "To: a@example.org.evil.example, b@notexample.org, c@example.orgx, d@mail.example.org, e@example.org.\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"blanks where RFC 822 had them", {}, "To: anna . b @ example . org\n", "none -> anna.b@example.org" + by_to},
      {"folded wherever it can be",
       {},
       "To:\n \n\t\"Anna\n B\"\n <\n anna\n @\n example.org\n >\n ,\n bert@example.org\n",
       "none -> anna@example.org bert@example.org" + by_to},
      {"a list that cannot be read: half of it would be a guess",
       {},
       "To: anna@example.org, \"Bert <bert@example.org>\n",
       "none" + k_office + "cannot be read (To, Cc, Bcc)"},
      {"one readable field does not make up for another",
       {},
       "To: (anna@example.org\nCc: bert@example.org\n",
       "none" + k_office + "cannot be read (To, Cc, Bcc)"},
      {"an out-of-office answer that calls itself bulk",
       {},
       "Return-Path: <>\nTo: anna@example.org\nPrecedence: bulk\nAuto-Submitted: auto-replied (vacation)\n",
       "<> -> anna@example.org" + by_to},
      {"names that only begin like the fields",
       {},
       "Tom: bert@example.org\nX-To: bert@example.org\nTo : anna@example.org\n",
       "none -> anna@example.org" + by_to},
      {"what follows a line that is no field is no header",
       {},
       "Subject: x\nno colon here\nTo: anna@example.org\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
  });
}

TEST_CASE("a message sent again is for those of the newest Resent fields", "[mailbox]") {
  const auto by_resent = " | Resent-To, Resent-Cc, Resent-Bcc"s;
  check_all({
      {"one block",
       {},
       "Return-Path: <carol@home.example>\nReceived: by hoster.example; Sat, 31 Jan 2026 10:00:00 +0000\nResent-From: "
       "carol@home.example\nResent-To: bert@example.org\nResent-Cc: Dora <dora@example.com>\nResent-Date: x\nReceived: "
       "by home.example; x\nTo: anna@example.org\n",
       "carol@home.example -> bert@example.org dora@example.com" + by_resent},
      {"two blocks, one below the other",
       {},
       "Resent-From: carol@home.example\nResent-To: bert@example.org\nResent-From: bob@home.example\nResent-To: "
       "carl@example.org\nResent-Cc: dora@example.org\nTo: anna@example.org\n",
       "none -> bert@example.org" + by_resent},
      {"two blocks with the way between them",
       {},
       "Resent-From: carol@home.example\nReceived: by home.example; x\nResent-To: carl@example.org\nTo: "
       "anna@example.org\n",
       "none" + k_office + "resent, but not said to whom"},
      {"a block in pieces",
       {},
       "Resent-From: carol@home.example\nX-Mailer: x\nResent-To: bert@example.org\nSubject: x\nResent-Bcc: "
       "dora@example.org\nTo: anna@example.org\n",
       "none -> bert@example.org dora@example.org" + by_resent},
      {"resent to somebody else, with a blind copy here",
       {},
       "Resent-From: carol@home.example\nResent-To: bob@home.example\nTo: anna@example.org\n",
       "none" + k_not_ours + " (Resent-To, Resent-Cc, Resent-Bcc)"},
      {"Exchange's rule that redirects says not to whom",
       {},
       "Resent-From: <info@example.org>\nTo: info@example.org\n",
       "none" + k_office + "resent, but not said to whom"},
      {"an old letter of a list, resent to one of ours",
       {},
       "Return-Path: <carol@home.example>\nResent-From: carol@home.example\nResent-To: bert@example.org\nTo: "
       "talk@lists.example, anna@example.org\nList-Post: <mailto:talk@lists.example>\nList-Id: <talk.lists.example>\n",
       "carol@home.example -> bert@example.org" + by_resent},
      {"resent to a list and to one of ours: the list's copy",
       {},
       "Resent-From: carol@home.example\nResent-To: bert@example.org, talk@lists.example\nTo: "
       "anna@example.org\nList-Post: "
       "<mailto:talk@lists.example>\n",
       "none" + k_list},
      {"Debian's lists resend without a Resent-To",
       {},
       "Return-Path: <bounce-debian-user=anna=example.org@lists.debian.example>\nResent-Message-ID: "
       "<x@bendel.debian.example>\nResent-From: debian-user@lists.debian.example\nX-Mailing-List: "
       "<debian-user@lists.debian.example> archive/latest/1\nList-Id: <debian-user.lists.debian.example>\nPrecedence: "
       "list\nResent-Sender: debian-user-request@lists.debian.example\nTo: anna@example.org\n",
       "bounce-debian-user=anna=example.org@lists.debian.example" + k_list},
  });
}

TEST_CASE("list mail is for a subscriber, whom To and Cc do not name", "[mailbox]") {
  const auto by_to = " | To, Cc, Bcc"s;
  check_all({
      {"Mailman 2",
       {},
       "Return-Path: <talk-bounces@lists.example>\nFrom: Bob <bob@home.example>\nTo: talk@lists.example\nX-BeenThere: "
       "talk@lists.example\nX-Mailman-Version: 2.1.39\nPrecedence: list\nList-Id: Talk <talk.lists.example>\n"
       "List-Unsubscribe: <http://lists.example/options/talk>,\n <mailto:talk-request@lists.example?subject="
       "unsubscribe>\nList-Post: <mailto:talk@lists.example>\nErrors-To: talk-bounces@lists.example\nSender: "
       "\"Talk\" <talk-bounces@lists.example>\n",
       "talk-bounces@lists.example" + k_list},
      {"Mailman 2, with one of ours in Cc: he has his own copy",
       {},
       "Return-Path: <talk-bounces@lists.example>\nTo: talk@lists.example\nCc: anna@example.org\nPrecedence: list\n"
       "List-Post: <mailto:talk@lists.example>\n",
       "talk-bounces@lists.example" + k_list},
      {"Mailman 3, To made out to a member",
       {},
       "Return-Path: <talk-bounces+anna=example.org@lists.example>\nTo: anna@example.org\nMessage-ID-Hash: ABC\n"
       "X-Mailman-Rule-Misses: dmarc-mitigation\nPrecedence: list\nList-Id: <talk.lists.example>\nArchived-At: "
       "<https://lists.example/x>\nList-Archive: <https://lists.example/>\nList-Post: <mailto:talk@lists.example>\n",
       "talk-bounces+anna=example.org@lists.example" + k_list},
      {"Mailman, an announcement list of others: nobody may post",
       {},
       "Return-Path: <news-bounces@lists.example>\nTo: news@lists.example\nList-Id: <news.lists.example>\nList-Post: "
       "NO (posting not allowed on this list)\n",
       "news-bounces@lists.example" + k_not_ours + " (To, Cc, Bcc)"},
      {"Sympa",
       {},
       "Return-Path: <talk-owner@lists.example>\nTo: talk@lists.example, anna@example.org\nX-Loop: "
       "talk@lists.example\nX-Sequence: 42\nErrors-To: talk-owner@lists.example\nPrecedence: list\nPrecedence: bulk\n"
       "Sender: talk-request@lists.example\nX-no-archive: yes\nList-Id: <talk.lists.example>\nList-Post: "
       "<mailto:talk@lists.example>\n",
       "talk-owner@lists.example" + k_list},
      {"Google Groups",
       {},
       "Return-Path: <talk+bncBCABC@googlegroups.com>\nTo: talk@googlegroups.com\nCc: anna@example.org\nX-Original-"
       "Sender: bob@home.example\nPrecedence: list\nMailing-list: list talk@googlegroups.com; contact "
       "talk+owners@googlegroups.com\nList-ID: <talk.googlegroups.com>\nX-Google-Group-Id: 1044\nList-Post: "
       "<https://groups.google.com/group/talk/post>, <mailto:talk@googlegroups.com>\n",
       "talk+bncBCABC@googlegroups.com" + k_list},
      {"ezmlm",
       {},
       "Return-Path: <talk-return-42-anna=example.org@lists.example>\nReceived: (qmail 9655 invoked by uid 550); 31 "
       "Jan "
       "2026 10:00:00 -0000\nMailing-List: contact talk-help@lists.example; run by ezmlm\nPrecedence: bulk\nList-Post: "
       "<mailto:talk@lists.example>\nList-ID: <talk.lists.example>\nDelivered-To: mailing list talk@lists.example\n"
       "Received: (qmail 9623 invoked from network); 31 Jan 2026 10:00:00 -0000\nTo: anna@example.org\nCc: "
       "talk@lists.example\n",
       "talk-return-42-anna=example.org@lists.example" + k_list},
      {"Majordomo knows no List- fields",
       {},
       "Return-Path: <owner-talk@lists.example>\nSender: owner-talk@lists.example\nPrecedence: bulk\nTo: "
       "anna@example.org\n",
       "owner-talk@lists.example" + k_list},
      {"Majordomo, our own list",
       {},
       "Return-Path: <owner-talk@example.org>\nSender: owner-talk@example.org\nPrecedence: bulk\nTo: "
       "talk@example.org\n",
       "owner-talk@example.org" + k_list},
      {"Listserv",
       {},
       "Return-Path: <owner-TALK*anna**EXAMPLE*-ORG@LISTSERV.EXAMPLE>\nReceived: by LISTSERV.EXAMPLE (LISTSERV-TCP/IP "
       "release 16.5) with spool id 1\n for TALK@LISTSERV.EXAMPLE; Sat, 31 Jan 2026 10:00:00 +0000\nSender: Talk "
       "<TALK@LISTSERV.EXAMPLE>\nTo: anna@example.org\nList-Help: <https://listserv.example/>\nList-Owner: "
       "<mailto:TALK-request@LISTSERV.EXAMPLE>\n",
       "owner-TALK*anna**EXAMPLE*-ORG@LISTSERV.EXAMPLE" + k_list},
      {"groups.io says no List-Post",
       {},
       "Return-Path: <bounce+1+1+1+1@groups.io>\nTo: anna@example.org\nPrecedence: Bulk\nList-Subscribe: "
       "<mailto:talk+subscribe@groups.io>\nSender: talk@groups.io\nList-Id: <talk.groups.io>\nMailing-List: list "
       "talk@groups.io; contact talk+owner@groups.io\nDelivered-To: mailing list talk@groups.io\n",
       "bounce+1+1+1+1@groups.io" + k_list},
      {"Yahoo's groups",
       {},
       "Return-Path: <sentto-123-45-1-anna=example.org@returns.groups.yahoo.example>\nMailing-List: list "
       "talk@yahoogroups.example; contact talk-owner@yahoogroups.example\nDelivered-To: mailing list "
       "talk@yahoogroups.example\nPrecedence: bulk\nList-Unsubscribe: <mailto:talk-unsubscribe@yahoogroups.example>\n"
       "To: anna@example.org\n",
       "sentto-123-45-1-anna=example.org@returns.groups.yahoo.example" + k_list},
      {"vger",
       {},
       "Return-Path: <kernel+bounces-1-anna=example.org@vger.example>\nPrecedence: bulk\nX-Mailing-List: "
       "kernel@vger.example\nList-Id: <kernel.vger.example>\nTo: anna@example.org\nCc: kernel@vger.example\n",
       "kernel+bounces-1-anna=example.org@vger.example" + k_list},
      {"a newsletter made out to its reader",
       {},
       "Return-Path: <bounce-mc.us1_1.2-anna=example.org@mail1.news.example>\nTo: <anna@example.org>\nFrom: News "
       "<news@shop.example>\nList-ID: 123mc list <123.456.list-id.news.example>\nList-Unsubscribe: "
       "<https://news.example/u>,\n <mailto:u-anna=example.org@news.example?subject=unsubscribe>\n"
       "List-Unsubscribe-Post: List-Unsubscribe=One-Click\nPrecedence: bulk\n",
       "bounce-mc.us1_1.2-anna=example.org@mail1.news.example -> anna@example.org" + by_to},
      {"a newsletter to two is not made out to one",
       {},
       "Return-Path: <b@news.example>\nTo: anna@example.org, bert@example.org\nList-Unsubscribe: <https://n.example>\n",
       "b@news.example" + k_list},
      {"a newsletter of our own domain: its To may be the list",
       {},
       "Return-Path: <news-bounces@example.org>\nTo: news@example.org\nList-Unsubscribe: <https://example.org/u>\n",
       "news-bounces@example.org" + k_list},
      {"the same by its List-Id",
       {},
       "Return-Path: <b@news.example>\nTo: news@example.org\nList-Id: News <news.example.org>\n",
       "b@news.example" + k_list},
      {"a ticket system calls itself a list, to a single customer",
       {},
       "Return-Path: <rt@help.example>\nTo: anna@example.org\nPrecedence: bulk\nSender: rt@help.example\n",
       "rt@help.example -> anna@example.org" + by_to},
      {"GitHub: the subscriber is in neither",
       {},
       "Return-Path: <noreply@github.com>\nTo: org/project <project@noreply.github.com>\nCc: Subscribed "
       "<subscribed@noreply.github.com>\nPrecedence: list\nList-ID: org/project <project.org.github.com>\nList-Post: "
       "<mailto:reply+x@reply.github.com>\n",
       "noreply@github.com" + k_list},
  });
}

TEST_CASE("the sender is the topmost Return-Path, or null", "[mailbox]") {
  const auto sender_of = [](const std::string& header) {
    const auto said_all = said(mailbox_envelope(header, policy_with()));
    return said_all.substr(0, said_all.find(" -> "));
  };
  CHECK(sender_of("Return-Path: <bob@home.example>\n") == "bob@home.example");
  CHECK(sender_of("return-PATH:\n <bob@home.example>\n") == "bob@home.example");
  CHECK(sender_of("Return-Path: bob@home.example\n") == "bob@home.example");
  CHECK(sender_of("Return-Path: <bob@home.example> (by mx.home.example)\n") == "bob@home.example");
  CHECK(sender_of("Return-Path: <@a.example:bob@home.example>\n") == "bob@home.example");
  CHECK(sender_of("Return-Path: <bob@häuser.example>\n") == "bob@häuser.example");
  CHECK(sender_of("Received: x\nReturn-Path: <a@home.example>\nReturn-Path: <b@home.example>\n") == "a@home.example");
  CHECK(sender_of("Return-Path: <>\n") == "<>");
  CHECK(sender_of("Return-Path: < >\n") == "<>");
  CHECK(sender_of("Return-Path: <>\nReturn-Path: <b@home.example>\n") == "<>");
  // None, or none to which a bounce could go; From is not asked.
  for (const auto* one :
       {"From: bob@home.example\nSender: bob@home.example\n", "Return-Path:\n", "Return-Path: <MAILER-DAEMON>\n",
        "Return-Path: <#@[]>\n", "Return-Path: <\"\"@>\n", "Return-Path: <a@home.example>, <b@home.example>\n",
        "Return-Path: <a@home.example\n", "Return-Path: nobody knows\nReturn-Path: <b@home.example>\n"}) {
    CAPTURE(one);
    const auto envelope = mailbox_envelope(one, policy_with());
    CHECK(envelope.reverse_path.is_null);
    CHECK_FALSE(envelope.has_return_path);
  }
}

TEST_CASE("one mailbox for one address asks no field", "[mailbox]") {
  auto policy = policy_with({"Delivered-To"});
  policy.only = {{"anna", ""}, {"archive", "example.org"}};
  REQUIRE(policy.users.add("anna@*", {"nobody"}));
  for (const auto* header : {"To: bert@example.org\n", "Delivered-To: bert@example.org\n", "", "To: (\n",
                             "List-Post: <mailto:talk@lists.example>\nReturn-Path: <>\n"}) {
    const auto envelope = mailbox_envelope(header, policy);
    CHECK(listed(envelope.recipients) == "anna archive@example.org");
    CHECK(envelope.found == MailboxEnvelope::Found::only);
  }
}

TEST_CASE("users stand for addresses; the catch-all stands for itself", "[mailbox]") {
  auto policy = policy_with({"Delivered-To"});
  REQUIRE(policy.users.add("sales@example.org", {"anna", "bert@example.org"}));
  REQUIRE(policy.users.add("info-*@example.org", {"anna"}));
  REQUIRE(policy.users.add("*@example.com", {"carl@elsewhere.example"}));
  REQUIRE(policy.users.add("office@example.org", {"nobody"}));
  const auto to = [&policy](const std::string& list) {
    return listed(mailbox_envelope("To: " + list + "\n", policy).recipients);
  };
  CHECK(to("sales@example.org") == "anna bert@example.org");
  CHECK(to("sales@example.org, bert@example.org, info-x@example.org, dora@example.org") ==
        "anna bert@example.org dora@example.org");
  CHECK(to("x@example.com, y@example.com") == "carl@elsewhere.example");
  CHECK(to("sales@home.example") == "office@example.org");
  CHECK(listed(mailbox_envelope("Delivered-To: SALES@Example.org\n", policy).recipients) == "anna bert@example.org");
}

TEST_CASE("without a catch-all nobody gets what nobody can tell", "[mailbox]") {
  auto policy = policy_with({"Delivered-To"});
  policy.catch_all = {};
  const auto envelope = mailbox_envelope("To: bob@home.example\n", policy);
  CHECK(envelope.recipients.empty());
  CHECK(envelope.found == MailboxEnvelope::Found::catch_all);
  CHECK(envelope.unknown == MailboxEnvelope::Unknown::not_ours);
}

TEST_CASE("a provider that always writes its field: To need not be asked", "[mailbox]") {
  auto policy = policy_with({"Delivered-To"});
  policy.use_address_fields = false;
  CHECK(said(mailbox_envelope("To: anna@example.org\n", policy)) ==
        "none -> office@example.org | catch-all: none of the envelope fields is in it");
  CHECK(said(mailbox_envelope("Delivered-To: anna@example.org\n", policy)) ==
        "none -> anna@example.org | Delivered-To");
}

TEST_CASE("of a header that was cut, only whole fields of the envelope are believed", "[mailbox]") {
  const auto policy = policy_with({"Delivered-To"});
  const auto cut = [&policy](const std::string& header) { return said(mailbox_envelope(header, policy, false)); };
  CHECK(cut("Return-Path: <bob@home.example>\nDelivered-To: anna@example.org\nSubj") ==
        "bob@home.example -> anna@example.org | Delivered-To");
  CHECK(cut("Return-Path: <bob@home.example>\nDelivered-To: anna@example.org\n") ==
        "bob@home.example" + k_office + "its header is too long to be read to the end");
  CHECK(cut("Return-Path: <bob@home.example>\nDelivered-To: anna@example.org\nSubject: x") ==
        "bob@home.example -> anna@example.org | Delivered-To");
  CHECK(cut("Delivered-To: anna@example.org\nTo: bert@exa") == "none -> anna@example.org | Delivered-To");
  for (const auto* header :
       {"Delivered-To: anna@example.org", "To: anna@example.org\nX: y\n", "To: anna@example.org", ""}) {
    CHECK(cut(header) == "none" + k_office + "its header is too long to be read to the end");
  }
  auto one = policy;
  one.only = {{"anna", ""}};
  CHECK(said(mailbox_envelope("To: x", one, false)) == "none -> anna | the one recipient of this mailbox");
}

TEST_CASE("there are never more recipients than allowed", "[mailbox]") {
  auto policy = policy_with({"X-Envelope-To"});
  policy.max_recipients = 3;
  CHECK(said(mailbox_envelope("To: a@example.org, x@home.example, b@example.org, c@example.org, A@example.org\n",
                              policy)) == "none -> a@example.org b@example.org c@example.org | To, Cc, Bcc");
  CHECK(said(mailbox_envelope("To: a@example.org, b@example.org, c@example.org\nCc: d@example.org\n", policy)) ==
        "none" + k_office + "names too many recipients (To, Cc, Bcc)");
  CHECK(said(mailbox_envelope("X-Envelope-To: a@example.org, b@example.org, c@example.org, d@example.org\n", policy)) ==
        "none" + k_office + "names too many recipients (X-Envelope-To)");
  // As many as `users` makes of them, too.
  REQUIRE(policy.users.add("a@example.org", {"a1", "a2", "a3"}));
  CHECK(listed(mailbox_envelope("To: a@example.org\n", policy).recipients) == "a1 a2 a3");
  CHECK(said(mailbox_envelope("To: a@example.org, b@example.org\n", policy)) ==
        "none" + k_office + "names too many recipients (To, Cc, Bcc)");
}

namespace {

const std::string k_collected =
    "Received: from pop.hoster.example ([192.0.2.7])\n\tby MX.example.org with POP3S\n\tid 1\n\tfor "
    "<anna@example.org>;\n\tSat, 31 Jan 2026 10:00:00 +0000\n";

}  // namespace

TEST_CASE("who got a message through us does not get it again", "[mailbox]") {
  const auto loop = "none ->  | a loop: it has been collected and delivered from here before"s;
  check_all({
      {"the first time",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: by hoster.example; x\n",
       "none -> anna@example.org | Delivered-To"},
      {"anna's mail is forwarded to where it comes back from",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: by hoster.example; x\n" + k_collected +
           "Received: by hoster.example; x\n",
       loop},
      {"by To", {}, "Received: by hoster.example; x\n" + k_collected + "To: Anna@example.org\n", loop},
      {"our list has a member whose mail goes to the mailbox: another recipient",
       {"Delivered-To"},
       "Delivered-To: bert@example.org\nReceived: by hoster.example; x\n" + k_collected,
       "none -> bert@example.org | Delivered-To"},
      {"some of several",
       {},
       k_collected + "To: anna@example.org, bert@example.org\n",
       "none -> bert@example.org | To, Cc, Bcc"},
      {"we do not say for whom, but a Delivered-To below does",
       {"Delivered-To mbox-"},
       "Delivered-To: mbox-anna@example.org\nReceived: from pop.hoster.example by mx.example.org with IMAP; x\n"
       "Delivered-To: mbox-anna@example.org\n",
       loop},
      {"a Delivered-To below, of the hoster's other field",
       {"X-Envelope-To", "Delivered-To"},
       "X-Envelope-To: anna@example.org\nReceived: from pop.hoster.example by mx.example.org with IMAPS; x\n"
       "X-Envelope-To: anna@example.org\n",
       loop},
      {"a Delivered-To without our Received between is the hoster's own way",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: by hoster.example; x\nDelivered-To: anna@example.org\n",
       "none -> anna@example.org | Delivered-To"},
      {"mail that went out from here has our name in it, too",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: from mx.example.org by hoster.example with ESMTPS for "
       "<anna@example.org>; x\nReceived: from pc by mx.example.org with ESMTP for <anna@example.org>; x\n",
       "none -> anna@example.org | Delivered-To"},
      {"somebody else collects, too",
       {"Delivered-To"},
       "Delivered-To: anna@example.org\nReceived: from pop.a.example by mail.b.example with POP3 for "
       "<anna@example.org>; x\n",
       "none -> anna@example.org | Delivered-To"},
      {"anna sent it on by hand, and it is sent back to her by hand",
       {},
       "Resent-From: bob@home.example\nResent-To: anna@example.org\nReceived: by home.example; x\nResent-From: "
       "anna@example.org\nResent-To: bob@home.example\n" +
           k_collected + "To: anna@example.org\n",
       "none -> anna@example.org | Resent-To, Resent-Cc, Resent-Bcc"},
      {"sent on by hand before we had it",
       {},
       k_collected + "Resent-From: bob@home.example\nResent-To: anna@example.org\n",
       loop},
      {"the catch-all has had it",
       {},
       "Received: from pop.hoster.example by mx.example.org with POP3 for <office@example.org>; x\nTo: "
       "bob@home.example\n",
       loop},
      {"too many rounds, whoever it is for",
       {},
       "Received: from pop by mx.example.org with POP3; x\nReceived: from pop by mx.example.org with POP3; x\n"
       "Received: from pop by mx.example.org with POP3; x\nReceived: from pop by mx.example.org with POP3; x\nTo: "
       "bert@example.org\n",
       loop},
      {"as many as may be",
       {},
       "Received: from pop by mx.example.org with POP3; x\nReceived: from pop by mx.example.org with POP3; x\n"
       "Received: from pop by mx.example.org with POP3; x\nTo: bert@example.org\n",
       "none -> bert@example.org | To, Cc, Bcc"},
  });
  std::string hops;
  for (int i = 0; i < 100; ++i) hops += "Received: by hoster.example; x\n";
  CHECK(said(mailbox_envelope(hops + "To: anna@example.org\n", policy_with())) ==
        "none -> anna@example.org | To, Cc, Bcc");
  CHECK(said(mailbox_envelope(hops + "Received:\nTo: anna@example.org\n", policy_with())) == loop);
  auto policy = policy_with();
  policy.only = {{"anna", "example.org"}};
  CHECK(said(mailbox_envelope(k_collected, policy)) == loop);
}

TEST_CASE("hostile headers name nobody whom they do not name, and take no time", "[mailbox]") {
  check_all({
      {"a NUL in an address",
       {},
       "To: an\0na@example.org, bert@example.org\n"s,
       "none -> bert@example.org | To, Cc, Bcc"},
      {"a NUL behind it", {}, "To: anna@example.org\0.evil.example\n"s, "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"bytes that are no UTF-8",
       {},
       "To: \xff\xfe@example.org, \"\xff\" <bert@example.org>\n",
       "none -> bert@example.org | To, Cc, Bcc"},
      {"UTF-8 in a local part", {}, "To: bücher@example.org\n", "none -> bücher@example.org | To, Cc, Bcc"},
      {"letters that look like ours", {}, "To: anna@ex\xd0\xb0mple.org\n", "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"full-width letters that are ours to IDNA: written as everybody reads it",
       {},
       "To: anna@\xef\xbd\x85xample.org\n",
       "none -> anna@example.org | To, Cc, Bcc"},
      {"two at signs",
       {},
       "To: anna@example.org@evil.example, a@b@example.org\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"an address in an address",
       {},
       "To: <anna@example.org <bert@example.org>>\n",
       "none" + k_office + "cannot be read (To, Cc, Bcc)"},
      {"a local part of 300 letters",
       {},
       "To: " + std::string(300, 'a') + "@example.org\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"commands in a quoted local part",
       {},
       "To: \"anna@example.org>\\\r\n RCPT TO:<x\"@example.org\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
      {"a group in a group", {}, "To: a: b: anna@example.org;;\n", "none" + k_office + "cannot be read (To, Cc, Bcc)"},
      {"lines that are no fields",
       {},
       std::string(1000, '\n') + "To: anna@example.org\n",
       "none" + k_not_ours + " (To, Cc, Bcc)"},
  });
  // A CR alone is a blank to us; it never becomes part of an address.
  CHECK(said(mailbox_envelope("To: anna@exam\rple.org, bert@example.org\n", policy_with())) ==
        "none" + k_office + "cannot be read (To, Cc, Bcc)");
  CHECK(said(mailbox_envelope("Subject: x\rTo: anna@example.org\n", policy_with())) ==
        "none" + k_not_ours + " (To, Cc, Bcc)");
}

TEST_CASE("ten thousand addresses are read, more are not", "[mailbox]") {
  std::string list;
  for (int i = 1; i < 10'000; ++i) list += "bob" + std::to_string(i) + "@häuser" + std::to_string(i) + ".example,\n ";
  CHECK(said(mailbox_envelope("To: " + list + "anna@example.org\n", policy_with())) ==
        "none -> anna@example.org | To, Cc, Bcc");
  CHECK(said(mailbox_envelope("To: " + list + "anna@example.org\nCc: bert@example.org\n", policy_with())) ==
        "none" + k_office + "names too many recipients (To, Cc, Bcc)");
}

TEST_CASE("much of anything is read in linear time", "[mailbox]") {
  constexpr std::size_t mebibyte = std::size_t{1024} * 1024;
  const auto many = [](const std::string& one, std::size_t size) {
    std::string out;
    while (out.size() < size) out += one;
    return out;
  };
  const auto policy = policy_with({"Delivered-To mbox-", "Received"});
  // A quadratic reader would need minutes for these, and the test's own limit of time ends it.
  for (const auto& one : {"("s,     "()"s,          "\""s,   "\\"s,  "<"s,
                          ">"s,     ","s,           ";"s,    "a:;"s, "a "s,
                          "@"s,     "=?x?q?"s,      "=?"s,   "["s,   " for <a@example.org>"s,
                          " for "s, "by x "s,       "a@b,"s, "\n "s, "a.\n "s,
                          "<>,"s,   "x@ü.example,"s}) {
    CAPTURE(one);
    const auto body = many(one, mebibyte / 8) + "\n";
    for (const auto* name : {"To: ", "Delivered-To: ", "Received: ", "Return-Path: ", "List-Id: ", "Sender: "}) {
      CAPTURE(name);
      CHECK(mailbox_envelope(name + body, policy).recipients.size() == 1);
    }
  }
  for (const auto* one : {"a@example.org,\n ", "((", "\"a\" <a@b>,", "=?a?b?c?= "}) {
    CAPTURE(one);
    CHECK(mailbox_envelope("To: " + many(one, mebibyte) + "\n", policy).recipients.size() == 1);
  }
  for (const auto* one : {"a:\n", "Received: by mx.example.org with POP3 for <a@example.org>; x\n", "Resent-To:\n",
                          "To:\n", "From \n", "Delivered-To: a@example.org\n", "List-Id: <x.example>\n"}) {
    CAPTURE(one);
    CHECK(mailbox_envelope(many(one, mebibyte), policy).recipients.size() <= 1);
  }
}

TEST_CASE("a source of recipients is a field, a number and a prefix", "[mailbox]") {
  const auto read = [](std::string_view text) {
    const auto source = parse_envelope_source(text);
    return source ? source->field + "|" + std::to_string(source->nth) + "|" + source->prefix : source.error().text;
  };
  CHECK(read("Delivered-To") == "Delivered-To|1|");
  CHECK(read("Delivered-To mbox-") == "Delivered-To|1|mbox-");
  CHECK(read("Delivered-To 2") == "Delivered-To|2|");
  CHECK(read("Delivered-To 2 mbox-") == "Delivered-To|2|mbox-");
  CHECK(read("Delivered-To 7-") == "Delivered-To|1|7-");
  CHECK(read("Delivered-To GMX delivery to ") == "Delivered-To|1|GMX delivery to ");
  CHECK(read("Received 3") == "Received|3|");
  const auto no_name =
      R"( does not begin with the name of a header field: write it without a colon, as in "Delivered-To mbox-")"s;
  CHECK(read("") == "\"\"" + no_name);
  CHECK(read(" ") == "\" \"" + no_name);
  CHECK(read("Delivered-To:") == "\"Delivered-To:\"" + no_name);
  CHECK(read("Empfänger") == "\"Empfänger\"" + no_name);
  CHECK(read("Received 0") == "\"Received 0\" counts the fields from the top: 1 to 100");
  CHECK(read("Received 101") == "\"Received 101\" counts the fields from the top: 1 to 100");
  CHECK(read("Delivered-To a\nb") == "\"Delivered-To a\\x0ab\" has a control character in its prefix");
}

TEST_CASE("a header is handed on without what the next delivery writes anew", "[mailbox]") {
  const auto rest =
      "Received: by hoster.example;\r\n\tx\r\nX-Odd:  \xff\t\r\nTo: anna@example.org\r\n\r\nReturn-Path: body\r\n"s;
  const auto header = "Return-Path: <bob@home.example>\r\nDelivered-To: anna@example.org\r\n" + rest;
  CHECK(header_to_hand_on("From bob@home.example Sat Jan 31 10:00:00 2026\r\n" + header, false) ==
        "Delivered-To: anna@example.org\r\n" + rest);
  CHECK(header_to_hand_on(header, true) == rest);
  CHECK(header_to_hand_on(rest, true) == rest);
  CHECK(header_to_hand_on("RETURN-path :\r\n <>\r\n", true).empty());
}
