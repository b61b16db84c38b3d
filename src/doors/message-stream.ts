/** `heddle/message-stream`: any message connection with promises and `for await`. */
export * from '../links/message-stream/message-stream.ts'
