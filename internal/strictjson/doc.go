// Package strictjson reads what services send in JSON row by row, so that a
// row that makes no sense is an error of that row and not of the others.
//
// It differs from encoding/json where that is generous:
//
//   - A key matches byte for byte. A row with a key that differs in case only
//     from one that is asked for, or with the same key twice, is an error.
//   - Missing and null are never 0 or "": what is asked for must be there.
//     [Row.Has] asks first.
//   - A number is never text and text never a number. An integer is whole,
//     within ±2⁵³ (beyond that services that calculate in floating point are
//     wrong themselves) and within int; 12.0 and 1.2e1 are whole.
//   - Text is valid UTF-8.
//
// Keys that nobody asks for are skipped, whatever they hold.
//
// [Parse] checks an answer as a whole once; all else works on parts of its
// bytes. Only strings are copied, and a [Row] can be used again for the next
// one, so reading is faster than with encoding/json and allocates less. Texts
// of errors quote what a service sent only bounded and cleaned.
package strictjson
