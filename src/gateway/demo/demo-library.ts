/**
 * The demo's gRPC service: a library of a few books, in memory (library/library.proto). With REST in
 * front of it, it is the example of docs/transcoding.md.
 */
import { create } from '@bufbuild/protobuf'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { rpcServer } from '../../servers/connect/rpc-server.ts'
import { grpcService } from '../../servers/grpc/grpc-service.ts'
import { type Book, BookSchema, Genre, Library } from './library/library_pb.ts'

export function demoLibrary(): HttpService {
  const books = new Map<string, Book>()
  const counts = new Map<string, number>()
  const add = (parent: string, book: Book): Book => {
    // It is a demo on a machine of anybody: it must not fill its memory.
    if (books.size >= MAX_BOOKS) throw new GrpcError('RESOURCE_EXHAUSTED', 'the shelves are full')
    if (book.title === '') throw new GrpcError('INVALID_ARGUMENT', 'a book needs a title')
    const number = (counts.get(parent) ?? 0) + 1
    counts.set(parent, number)
    const added = create(BookSchema, { ...book, name: `${parent}/books/${number}` })
    books.set(added.name, added)
    return added
  }
  for (const [parent, title, author, genre] of FIRST) {
    add(parent, create(BookSchema, { title, author, genre }))
  }
  const library = grpcService(Library, {
    getBook({ name }) {
      const book = books.get(name)
      if (book === undefined) throw new GrpcError('NOT_FOUND', `no book ${name}`)
      return book
    },
    createBook({ parent, book }) {
      return add(parent, create(BookSchema, book))
    },
    *listBooks({ parent, genre }) {
      for (const book of books.values()) {
        if (!book.name.startsWith(`${parent}/`)) continue
        if (genre === Genre.GENRE_UNSPECIFIED || genre === book.genre) yield book
      }
    },
    async importBooks(given) {
      let count = 0
      for await (const book of given) {
        add('shelves/imported', book)
        count++
      }
      return { count }
    },
  })
  return rpcServer([library])
}

const FIRST: readonly (readonly [parent: string, title: string, author: string, genre: Genre])[] = [
  ['shelves/1', 'Frankenstein', 'Mary Shelley', Genre.NOVEL],
  ['shelves/1', 'On the Origin of Species', 'Charles Darwin', Genre.SCIENCE],
  ['shelves/2', 'Middlemarch', 'George Eliot', Genre.NOVEL],
]
const MAX_BOOKS = 1_000
