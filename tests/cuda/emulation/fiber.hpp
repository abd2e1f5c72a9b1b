// A function that runs on a stack of its own and can be left and entered again.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include <setjmp.h>
#include <ucontext.h>

// The sanitizers watch longjmp and take a change of stacks for an error.
#if defined(__SANITIZE_ADDRESS__)
#define ROPEWALK_TEST_SWAP_CONTEXTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROPEWALK_TEST_SWAP_CONTEXTS 1
#endif
#endif

namespace ropewalk_test {

class Fiber {
 public:
  static constexpr std::size_t kStackBytes = 96 * 1024;

  /// What is to run from the next resume() on; the stack is used again.
  void start(std::function<void()> body) {
    if (stack_ == nullptr) stack_ = std::make_unique<unsigned char[]>(kStackBytes);
    body_ = std::move(body);
    done_ = false;
    entered_ = false;
    getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_.get();
    inside_.uc_stack.ss_size = kStackBytes;
    inside_.uc_link = nullptr;
    const auto address = reinterpret_cast<std::size_t>(this);
    makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
  }

  /// Runs it until it calls leave() or ends. Called by the scheduler.
  void resume() {
#ifdef ROPEWALK_TEST_SWAP_CONTEXTS
    swapcontext(&outside_, &inside_);
#else
    // swapcontext asks the kernel for the signal mask; only the first entry needs it.
    if (_setjmp(outside_jump_) == 0) {
      if (entered_) _longjmp(inside_jump_, 1);
      entered_ = true;
      setcontext(&inside_);
    }
#endif
  }

  /// Back to the scheduler. Called by what runs.
  void leave() {
#ifdef ROPEWALK_TEST_SWAP_CONTEXTS
    swapcontext(&inside_, &outside_);
#else
    if (_setjmp(inside_jump_) == 0) _longjmp(outside_jump_, 1);
#endif
  }

  bool done() const { return done_; }

 private:
  static void enter(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<Fiber*>(static_cast<std::size_t>(high) << 32 | low);
    self->body_();
    self->done_ = true;
    self->leave();
  }

  std::unique_ptr<unsigned char[]> stack_;
  std::function<void()> body_;
  bool done_ = true;
  bool entered_ = false;
  ucontext_t inside_ = {};
#ifdef ROPEWALK_TEST_SWAP_CONTEXTS
  ucontext_t outside_ = {};
#else
  jmp_buf inside_jump_ = {};
  jmp_buf outside_jump_ = {};
#endif
};

}  // namespace ropewalk_test
