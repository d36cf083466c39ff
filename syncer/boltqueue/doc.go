// Package boltqueue keeps a syncer's queue in one file, so that what was
// marked survives a crash of the process and of the machine. It needs no
// server: the file is a bbolt database (go.etcd.io/bbolt), and only programs
// that import this package link it.
//
// # Use
//
// [Open] the file, and give the queue to the syncer as the Queue of its
// configuration. [Queue.Close] it when the syncer has stopped.
//
//	q, err := boltqueue.Open("/var/lib/shop/stocksync.db")
//	if err != nil {
//		return err
//	}
//	defer q.Close()
//
// # What survives
//
// When Mark or Save has returned nil, the marks and the records are on disk,
// synced. When the file is opened again, every key that was not acknowledged
// is due, in the order of their oldest marks, also one that was leased or put
// back for a later time. Counts of attempts and the times of retries are not
// kept. Of a key that was marked several times, the time of the oldest mark is
// kept; Last, Why, Trace and the count are those of the mark that was written.
// An acknowledgement that did not reach the disk only repeats work.
//
// # Cost
//
// Callers that mark at the same time share one write and one sync, and a key
// that is in the file already needs none. So a burst of events for the same
// products costs what the first of them does. Lease, Retry, Wait and Depth do
// not touch the file. Memory holds every pending key, about 300 bytes each.
// Records stay in the file, and are read from it.
//
// The file grows to what the largest number of pending keys needed, and keeps
// that size: space that becomes free is used again. It may be removed while no
// process has it open, at the price of what is pending in it. While it is open,
// its removal is an [ErrGone] for whoever writes.
//
// # A full disk
//
// A write that fails fails the calls that it was for. The queue goes on with
// what is in memory, and works as before when there is room again.
//
// # One process
//
// A file belongs to one process at a time; opening it again gives [ErrInUse]
// after a second. Locks are those of the operating system, so a crash leaves
// none behind. Keep the file on a local disk: network file systems often
// neither lock nor sync as they should.
//
// # Damage
//
// Open reads the whole file and checks every record against its checksum. What
// it finds wrong is an [ErrDamaged] or [ErrFormat]; the file is then left as
// it is. Nothing is ever repaired, replaced or emptied silently. To start
// anew, move the file away and let the syncer reconcile: that finds whatever
// the lost marks would have.
package boltqueue
