// Package syncer keeps the stock that channels show equal to what a single
// source of truth says may be sold.
//
// # Now
//
// [Syncer.SyncProducts] reads products at the source and makes every channel
// show them, and waits for it. The [Report] says what each channel showed,
// what was written, and what could not be.
//
// # By itself
//
// [Syncer.Run] does it as things happen. Products get marked as changed by the
// source's events, through the handler of [Syncer.WebhookHandler]; by the host,
// through [Syncer.Notify]; and by watching what moved, if the source is a
// [channel.ChangeSource]. A mark carries no quantities. Run reads the present truth for what is
// marked and pushes it, so that a lost, doubled, late or forged event cannot
// make a wrong number, and many marks of one product cost one push.
//
// Marks wait in a [Queue]: in memory ([MemoryQueue]), in a file that survives a
// crash (package boltqueue), or in a PostgreSQL that several replicas share
// (module pgqueue; see [SharedQueue]).
//
// # Every day
//
// [Syncer.Reconcile] compares the whole catalogue with what every channel
// really shows, and mends it; Run does so on a [Schedule]. [Syncer.Plan] only
// says what it would do, as a [Plan] that can be kept, read and applied later.
// A [Guard] for each channel holds what is past its limits until somebody has
// looked: [ErrHeld].
//
// # What is shown
//
// A channel shows what the [Policy] of its [Target] makes of a product's
// stock: by default what is available, and 0 where that is negative. A filter
// leaves products out altogether. A [Listing] shows a product under another
// name, as a pack, or several products as a kit.
//
// # What channels sell
//
// What a channel has sold is in flight until the source has booked it, or for
// Config.Settle at most: it is off every other channel at once. The channel's own
// webhooks tell of a sale (Target.Webhooks, [Syncer.ChannelHandler]), or a watch
// notices it (Target.Watch). No write undoes a sale that was noticed; one between
// a read and a write is safe where the channel is a [channel.Comparer].
//
// # By hand
//
// [Syncer.Coverage] says which products each channel has, before anything is
// written. Target.Observe does all but write, and Target.Pilot chooses products
// that are written all the same. [Syncer.Pause] stops a channel, [Syncer.Pin]
// fixes a product's quantity, [Syncer.Approve] lets pass what a guard holds, and
// [Report.Undo] puts back what a run wrote.
//
// # What can be relied on
//
//   - A channel that can be read is read before it is written, and only
//     differences are written: zeros first, then decreases, then increases.
//   - Missing is not zero. A product that was not read, or was read badly, is
//     changed nowhere.
//   - For one channel and SKU an older quantity never lands after a newer one,
//     and one Syncer never has two writes in flight.
//   - A channel is an island. What fails is tried again on that channel alone,
//     and nobody waits for it.
//   - A product marked while it is being worked on is worked on again.
//   - No goroutine outlives the call that started it, but for one whose channel
//     or source does not return. That is in the log, and the channel is down
//     until it does.
//
// # Seeing it
//
// [Hooks] tell a host of every event, push, retry and change, to be counted as
// it likes; [Syncer.Health] is cheap enough for a readiness probe; the Logger
// gets a line for each run and each trouble, with the keys run, channel, sku,
// product and err. Hooks.Alarm is called for trouble that no product shows.
// [Syncer.Explain] says why a channel shows what it shows, and
// [Syncer.Troubles] what does not work.
package syncer
