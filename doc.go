// Package stocksync is documentation only: it says what is where.
//
// This module keeps the stock shown on every sales channel equal to what
// ECOSIRE, the single source of truth, says may be sold. It is a library for
// an existing backend: no database, no broker, no process of its own.
//
// # Packages
//
//   - [github.com/ecosire/stocksync/syncer] does the job: it reads the source,
//     reads the channels, writes what differs, and reports.
//   - [github.com/ecosire/stocksync/ecosire] is the source: a client of ECOSIRE.
//   - [github.com/ecosire/stocksync/shopify] and
//     [github.com/ecosire/stocksync/woocommerce] are channels.
//   - [github.com/ecosire/stocksync/channel] is the contract between them, to
//     be implemented for any other channel.
//   - Next to each client is its fake (ecosiretest, shopifytest,
//     woocommercetest), for the tests of the service that uses it.
package stocksync
