// Package syncer keeps the stock that channels show equal to what a single
// source of truth says may be sold.
//
// # Now
//
// [Syncer.SyncProducts] reads some products at the source, makes every channel
// show them, and waits until they do. Its [Report] says what each channel showed,
// what was written, and what could not be.
//
// # In real time
//
// [Syncer.Run] does so as things happen. A product is marked as changed by an event
// of the source, through [Syncer.WebhookHandler]; by a webhook of a channel, through
// [Syncer.ChannelHandler]; by the host, through [Syncer.Notify]; or by a watch, which
// looks now and then at the source (Config.WatchEvery) or at a channel
// (Target.Watch). A mark carries no quantities: Run reads the present truth for what
// is marked, and pushes it. So a lost, doubled, late or forged event cannot make a
// wrong number, and many marks of one product cost one push.
//
// Marks wait in a [Queue]: in memory ([MemoryQueue]), in a file that survives a
// crash (package boltqueue), or in PostgreSQL, which several replicas share
// (module pgqueue; see [SharedQueue]).
//
// # Every night
//
// [Syncer.Reconcile] compares the whole catalogue with what every channel really
// shows, and mends the differences. Run does so on a [Schedule], by default at 02:00
// UTC every day; such a run is called a night, whatever its hour. [Syncer.Plan] only
// says what a run would do, as a [Plan] that can be kept, read and applied later. Each
// channel has a [Guard], which holds what looks like a catastrophe until somebody
// approves it: [ErrHeld].
//
// # What is shown
//
// The [Policy] of a [Target] turns a product's stock into what the channel shows: by
// default what is available, and 0 where that is negative. A filter leaves products
// out altogether. A [Listing] shows a product under another name, as a pack, or
// several products as a kit.
//
// # What channels sell
//
// What a channel has sold is in flight until the source has booked it, or for
// Config.Settle at most: meanwhile it is off every other channel. A sale is noticed by
// the channel's own webhooks (Target.Webhooks) or by a watch (Target.Watch). No write
// undoes a sale that was noticed; a sale between a read and a write is safe if the
// channel is a [channel.Comparer].
//
// # By hand
//
// [Syncer.Coverage] says which products each channel has, before anything is
// written. With Target.Observe the syncer does everything for a channel but write, and
// Target.Pilot chooses products that it writes all the same. [Syncer.Pause] stops work
// on a channel, [Syncer.Pin] fixes what is shown of a product, [Syncer.Approve] lets
// pass what a guard holds, and [Report.Undo] puts back what a run wrote.
//
// # What you can rely on
//
//   - A channel that can be read is read before it is written, and only
//     differences are written: zeros first, then decreases, then increases.
//   - Missing is not zero. A product that was not read, or was read badly, is
//     changed nowhere.
//   - For one channel and SKU one Syncer never has two writes in flight, and an
//     older quantity never lands after a newer one.
//   - A channel is an island. What fails on it is tried again on it alone, and no
//     other channel waits.
//   - A product marked while it is being worked on is worked on again.
//   - No goroutine outlives the call that started it, unless an adapter or the source
//     does not return. Then the log says so, and the channel is down until it does.
//
// # Seeing it
//
// [Hooks] are called for every event, push, retry and change, to be counted as the
// host likes, and Hooks.Alarm for trouble that no product shows. [Syncer.Health] is
// cheap enough for a readiness probe. The Logger gets a line for each run and each
// trouble, with the keys run, channel, sku, product and err. [Syncer.Explain] says why
// a channel shows what it shows, [Syncer.Troubles] what does not work, and
// [Syncer.Journal] what happened.
package syncer
