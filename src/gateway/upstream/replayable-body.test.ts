import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel } from '../../core/channel.ts'
import { Call } from '../../core/context.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { keepSmallBodies } from './replayable-body.ts'

/** A streamed body of known or unknown length. */
function streamed(length: number, announced: boolean): Body {
  const channel: Channel<Uint8Array> = new Channel<Uint8Array>(
    () => {
      channel.write(new Uint8Array(length))
      channel.end()
    },
    () => {},
  )
  return Body.from(channel, announced ? length : undefined)
}

async function keeps(method: string, body: Body): Promise<boolean> {
  let kept: boolean | undefined
  const service = keepSmallBodies(10, (request) => {
    kept = request.body.replayable && request.body.content !== undefined
    return new HttpResponse()
  })
  await service(new HttpRequest({ method, body }), new Call())
  assert.ok(kept !== undefined)
  return kept
}

test('keepSmallBodies keeps an idempotent body up to its limit, announced only', async () => {
  assert.equal(await keeps('PUT', streamed(10, true)), true)
  assert.equal(await keeps('PUT', streamed(11, true)), false)
  assert.equal(await keeps('PUT', streamed(10, false)), false)
  assert.equal(await keeps('POST', streamed(10, true)), false)
})

test('keepSmallBodies passes the bytes, informs and the note on', async () => {
  const note = {}
  const informs: number[] = []
  const service = keepSmallBodies(10, async (request) => {
    request.inform?.(103)
    assert.equal(request.note, note)
    return HttpResponse.text(await request.body.text())
  })
  const request = new HttpRequest({ method: 'PUT', body: streamed(3, true) })
  request.note = note
  request.inform = (status) => informs.push(status)
  const response = await service(request, new Call())
  assert.equal(await response.body.text(), '\0\0\0')
  assert.deepEqual(informs, [103])
})
