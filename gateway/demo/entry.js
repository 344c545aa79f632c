// What the form of the page asks for: its rules, and what of it is remembered.

const ROOM = /^[A-Za-z0-9_.:-]{1,64}$/;
const NAME_BYTES_MAX = 64;

// Both say what is wrong, or nothing.
export function checkName(name) {
  if (name === "") {
    return "Choose a name.";
  }
  return new TextEncoder().encode(name).length > NAME_BYTES_MAX ? "This name is too long." : "";
}

export function checkRoom(room) {
  if (room === "") {
    return "Choose a room.";
  }
  return ROOM.test(room) ? "" : "A room is 1 to 64 of the characters A–Z a–z 0–9 _ . : -";
}

// A browser that keeps nothing is none the worse.
export function remember(key, value) {
  try {
    localStorage.setItem(`warren.${key}`, value);
  } catch (error) {
    console.info("not remembered:", error.message);
  }
}

export function remembered(key) {
  try {
    return localStorage.getItem(`warren.${key}`) ?? "";
  } catch {
    return "";
  }
}
