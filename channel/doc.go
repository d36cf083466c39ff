// Package channel is the contract between a source of truth, the channels that
// show stock to customers, and what keeps them equal. It imports the standard
// library only.
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
//  4. Add BatchSize if one call takes only so many updates; see [Sizer].
//  5. If the service can refuse a write on top of a change that nobody saw,
//     compare with Update.Seen and answer [ErrConflict].
//
// Optional interfaces are found by [As], through wrappers too, so a channel
// that wraps another one needs only a method Unwrap.
//
// # Quantities
//
// All quantities are whole units of what may be sold. They are absolute, so
// that any update may be repeated.
//
// # Errors
//
// A product's trouble and a service's trouble are different things. An error
// for an SKU belongs into an [Errors], a [Level] or a [Stock]; an error that
// is returned as such says that the call as a whole failed. Missing is not
// zero: what could not be read is an error, and nobody may publish anything
// for it.
package channel
