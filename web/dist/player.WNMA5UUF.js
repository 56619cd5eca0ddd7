import{t as a}from"./core.FETEZVNJ.js";export{a as LecternPlayer};
