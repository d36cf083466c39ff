// Package channel is the contract between a source of truth, the channels that
// show stock to customers, and the syncer that keeps them equal. It imports the
// standard library only.
//
// # Writing a channel
//
// A channel is one type with two methods, Name and Push:
//
//  1. Push makes the channel show absolute quantities. Return nil when all are
//     shown, an [Errors] that names those that are not, or any other error when
//     nothing is known of any. Do not retry, compare, sort or clamp: that is the
//     syncer's work, and done once for all channels.
//  2. Map the service's errors onto the sentinels of this package with Is or
//     with %w. They decide what is tried again: see [Permanent].
//  3. Add Levels if the channel can be read, and it becomes a [Reader]: it is
//     then written only where it differs, and drift is found. Answer for
//     exactly the SKUs asked, byte for byte; leave out those that the channel
//     does not have; return an error, and never an empty answer, for what was
//     not read.
//  4. Add BatchSize if one call takes a limited number of updates; see [Sizer].
//  5. If the service can refuse a write on top of a change that nobody saw,
//     compare with Update.Seen and answer [ErrConflict].
//
// Everything else that a channel can do is an optional interface, listed at
// [Channel]; those of a source are listed at [Source]. They are found by [As],
// through wrappers too: a channel that wraps another one needs only a method
// Unwrap() Channel.
//
// # Quantities
//
// All quantities are whole units of what may be sold. They are absolute, so
// that any update may be repeated.
//
// # Errors
//
// A product's trouble and a service's trouble are different things. An error about
// an SKU belongs in an [Errors], a [Level] or a [Stock]; an error that is returned
// by itself says that the call failed as a whole. Missing is not zero: what could
// not be read is an error, and nobody may publish a quantity for it.
package channel
