/**
 * A doubly linked ring through objects that already exist: no node is allocated, and any member
 * leaves in constant time without being looked for. An object is in at most one list at a time.
 *
 *     list ⇄ first ⇄ … ⇄ last ⇄ list
 */

/** What a member carries. Both are undefined while it is in no list. */
export interface Link {
  previous: Link | undefined
  next: Link | undefined
}

export class LinkedList<Member extends Link> implements Link {
  // The list is itself a link of the ring, so neither end is a special case.
  previous: Link | undefined = this
  next: Link | undefined = this

  get isEmpty(): boolean {
    return this.next === this
  }

  get first(): Member | undefined {
    return this.next === this ? undefined : (this.next as Member)
  }

  get last(): Member | undefined {
    return this.previous === this ? undefined : (this.previous as Member)
  }

  /** The one in front of `member`, which is in this list. */
  before(member: Member): Member | undefined {
    return member.previous === this ? undefined : (member.previous as Member)
  }

  /** The one behind it. */
  after(member: Member): Member | undefined {
    return member.next === this ? undefined : (member.next as Member)
  }

  addFirst(member: Member): void {
    insertAfter(this, member)
  }

  addLast(member: Member): void {
    insertAfter(this.previous as Link, member)
  }

  removeFirst(): Member | undefined {
    const { first } = this
    if (first !== undefined) unlink(first)
    return first
  }

  /** First to last. The member just given may leave the list; others must not. */
  *[Symbol.iterator](): Iterator<Member> {
    let link = this.next as Link
    while (link !== this) {
      const next = link.next as Link
      yield link as Member
      link = next
    }
  }
}

/** Takes a member out of its list, whichever that is. Harmless when it is in none. */
export function unlink(member: Link): void {
  const { previous, next } = member
  if (previous === undefined || next === undefined) return
  previous.next = next
  next.previous = previous
  member.previous = undefined
  member.next = undefined
}

function insertAfter(before: Link, member: Link): void {
  const after = before.next as Link
  member.previous = before
  member.next = after
  before.next = member
  after.previous = member
}
